/* base/version.h - the version of all programs of the project */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#define TAILPOD_VERSION "0.1.0"

#endif
