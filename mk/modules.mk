# mk/modules.mk - what there is: module groups, their libraries, the programs

# lowest first; the order of the archives on a link line is the reverse
MODULES := base pod crypto wire wg netstack path derp ts2021 model os kube node host
# may have no undefined symbol outside mk/pure-symbols.txt and the libraries named there
PURE := base crypto wire wg netstack path derp ts2021 model node
CONV := base pod wire wg netstack

# libraries by module (pkg-config names); a program or test needs those of what it links
PKG_crypto := libsodium libcrypto
PKG_ts2021 := libnghttp2 libzstd
PKG_model := jansson
PKG_os := libuv libcares libssl libcrypto libcap libseccomp
PKG_kube := libcurl jansson yaml-0.1

srcs = $(filter-out %_test.c %_fuzz.c %_bench.c,$(sort $(wildcard $(1)/*.c)))

# Programs: PROG_<name>_DIR, _MODULES (what it may link), _PKG, _STATIC
PROGRAMS :=
-include $(sort $(wildcard */program.mk))
