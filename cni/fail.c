/* cni/fail.c - see fail.h */
#include "cni/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"

int fail_set(struct fail *f, enum fail_code code, const char *fmt, ...)
{
	va_list ap;

	f->code = code;
	f->details[0] = 0;
	va_start(ap, fmt);
	vsnprintf(f->msg, sizeof f->msg, fmt, ap);
	va_end(ap);
	return -1;
}

int fail_errno(struct fail *f, enum fail_code code, int no, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	f->code = code;
	f->details[0] = 0;
	va_start(ap, fmt);
	vsnprintf(f->msg, sizeof f->msg, fmt, ap);
	va_end(ap);
	n = strlen(f->msg);
	snprintf(f->msg + n, sizeof f->msg - n, ": %s", strerror(no < 0 ? -no : no));
	return -1;
}

bool fail_emit(const struct fail *f, const char *version, struct buf *out)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_kstr(&w, "cniVersion", version);
	jsonw_ki64(&w, "code", f->code);
	jsonw_kstr(&w, "msg", f->msg);
	if (f->details[0])
		jsonw_kstr(&w, "details", f->details);
	jsonw_obj_end(&w);
	return jsonw_ok(&w) && buf_append(out, "\n", 1);
}
