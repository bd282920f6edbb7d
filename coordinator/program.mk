PROGRAMS += coordinator
PROG_coordinator_DIR := coordinator
PROG_coordinator_MODULES := base crypto wire path derp ts2021 model os
PROG_coordinator_PKG := sqlite3 yaml-0.1 libcap
PROG_coordinator_STATIC := y
