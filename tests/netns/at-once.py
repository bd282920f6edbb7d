# at-once.py N TO [FROM]: N connections to TO port 9, one after the other, each of which has to be reset before its SYN goes out a
# second time (after 1 s); an error of ICMP is none: it has a rate limit, and over IPv6 it is lost upon a socket inside connect()
import errno, socket, sys, time

to, source = sys.argv[2], sys.argv[3:]
longest = 0
for i in range(int(sys.argv[1])):
    s = socket.socket(socket.AF_INET6 if ':' in to else socket.AF_INET)
    s.settimeout(20)
    if source:
        s.bind((source[0], 0))
    began = time.monotonic()
    try:
        s.connect((to, 9))
        sys.exit('%s: number %d is connected' % (to, i))
    except OSError as e:
        took = time.monotonic() - began
        if e.errno != errno.ECONNREFUSED or took > 0.5:
            sys.exit('%s: number %d: %s after %.3f s' % (to, i, e, took))
    longest = max(longest, took)
    s.close()
print('%s: reset %s times, the longest took %.1f ms' % (to, sys.argv[1], longest * 1000))
