PROGRAMS += operator
PROG_operator_DIR := operator
PROG_operator_MODULES := base crypto wire os kube host
