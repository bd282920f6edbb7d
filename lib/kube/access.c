/* kube/access.c - see access.h */
#include "kube/access.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/file.h"

/* the file's text in *pem, unless there is one; a relative path is made absolute */
static int load(const char *dir, char **file, char **pem, bool read, struct err *e)
{
	char *path;
	size_t len;
	int r = 0;

	if (!*file)
		return 0;
	if ((*file)[0] != '/') {
		if (asprintf(&path, "%s/%s", dir, *file) < 0)
			return err_set(e, ENOMEM, "%s", *file);
		free(*file);
		*file = path;
	}
	if (read && !*pem)
		r = file_read(*file, KUBECONFIG_MAX, pem, &len, e);
	return r;
}

int kube_access_file(struct kubeconfig *out, const char *path, const char *context, struct err *e)
{
	char *text = NULL, *slash, *none = NULL;
	AUTO_FREE char *dir = strdup(path);
	size_t len;
	int r;

	*out = (struct kubeconfig){ 0 };
	if (!dir)
		return err_set(e, ENOMEM, "%s", path);
	if ((r = file_read(path, KUBECONFIG_MAX, &text, &len, e)) < 0)
		return err_wrap(e, "kubeconfig");
	r = kubeconfig_parse(out, bytes_of(text, len), context, e);
	file_wipe(text, len);
	if (r < 0)
		return err_wrap(e, "%s", path);
	slash = strrchr(dir, '/');
	if (slash)
		*slash = 0;
	else
		(void)snprintf(dir, strlen(path) + 1, ".");
	if ((r = load(dir, &out->ca_file, &out->ca_pem, true, e)) < 0 ||
	    (r = load(dir, &out->cert_file, &out->cert_pem, true, e)) < 0 ||
	    (r = load(dir, &out->key_file, &out->key_pem, true, e)) < 0 ||
	    (r = load(dir, &out->token_file, &none, false, e)) < 0) {
		kubeconfig_fini(out);
		return err_wrap(e, "%s", path);
	}
	return 0;
}

/* text, which is taken over, without the white space around it; NULL: there is nothing else */
static char *one_word(char *text, size_t len)
{
	const size_t front = strspn(text, " \t\r\n");

	while (len > front && strchr(" \t\r\n", text[len - 1]))
		text[--len] = 0;
	if (len <= front) {
		free(text);
		return NULL;
	}
	memmove(text, text + front, len - front + 1);
	return text;
}

int kube_access_pod(struct kubeconfig *out, const char *host, const char *port, const char *dir,
		    struct err *e)
{
	char path[512];
	size_t len;
	char *ns = NULL;
	int r;

	*out = (struct kubeconfig){ 0 };
	if (!dir)
		dir = KUBE_POD_DIR;
	if (asprintf(&out->server, strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host,
		     port) < 0)
		goto memory;
	(void)snprintf(path, sizeof path, "%s/ca.crt", dir);
	if ((r = file_read(path, KUBECONFIG_MAX, &out->ca_pem, &len, e)) < 0)
		goto fail;
	if (asprintf(&out->token_file, "%s/token", dir) < 0)
		goto memory;
	(void)snprintf(path, sizeof path, "%s/namespace", dir);
	if (file_read(path, 256, &ns, &len, NULL) == 0)
		out->ns = one_word(ns, len);
	return 0;
memory:
	r = err_set(e, ENOMEM, "credentials");
fail:
	kubeconfig_fini(out);
	return err_wrap(e, "service account");
}
