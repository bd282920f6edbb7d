/* os/signal_hold.h - a signal that comes before its handler is there waits for it */
#ifndef OS_SIGNAL_HOLD_H
#define OS_SIGNAL_HOLD_H

#include <signal.h>

/* First in a program that stays: from here on until loop_on_signal the signal waits. To the first
 * process of a container one without a handler is lost, and any other process is ended by it with
 * another code than a stop has. What never gets to loop_on_signal does not hold: it could not be
 * interrupted. */
static inline void signal_hold(int signo)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

#endif
