/* replay.c - gives files to a fuzz target as libFuzzer would, under any compiler */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int main(int argc, char **argv)
{
	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");
		long len;
		uint8_t *buf;

		if (!f || fseek(f, 0, SEEK_END) != 0 || (len = ftell(f)) < 0) {
			fprintf(stderr, "cannot read %s\n", argv[i]);
			return 1;
		}
		rewind(f);
		buf = malloc((size_t)len +
			     !len); /* exact size, so that a sanitizer sees one byte too far */
		if (!buf || fread(buf, 1, (size_t)len, f) != (size_t)len)
			return 1;
		fclose(f);
		printf("%s\n", argv[i]);
		fflush(stdout);
		LLVMFuzzerTestOneInput(buf, (size_t)len);
		free(buf);
	}
	return 0;
}
