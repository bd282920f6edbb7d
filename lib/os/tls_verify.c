/* os/tls_verify.c - is this the certificate that was expected?
 *
 * Three ways (control-protocol.md 4.8): a chain to a root for the verified name; a pin, for which
 * exactly one certificate may be presented (those with a CN that begins with `derpkey` aside),
 * valid now and for the dialled name, and no CA is needed; nothing at all (is_insecure).
 *
 * Roots come from hashed directories, which OpenSSL reads by need. When that did not verify, others
 * are looked for in the files (tls_roots.c), the cheapest first, in a store of their own; the root
 * that helped moves into the lasting one.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip.h"
#include "os/tls_priv.h"

/* --- words --- */

static void say_chain(struct tls_check *c, X509_STORE_CTX *store)
{
	int code = X509_STORE_CTX_get_error(store);
	const char *what = X509_verify_cert_error_string(code), *hint = "";

	switch (code) {
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		what = "its issuer is not trusted";
		hint = " (give the CA by SSL_CERT_FILE)";
		break;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		what = "it is self-signed";
		hint = " (give the CA by SSL_CERT_FILE)";
		break;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		what = "it has expired";
		hint = " (or this clock is wrong)";
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		what = "it is not valid yet";
		hint = " (or this clock is wrong)";
		break;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		what = "it is for another name";
		break;
	}
	snprintf(c->failure, sizeof c->failure, "certificate of %s: %s%s", c->name, what, hint);
}

static void say(struct tls_check *c, const char *what)
{
	snprintf(c->failure, sizeof c->failure, "certificate of %s: %s", c->host, what);
}

/* --- pins --- */

static bool is_meta(X509 *cert)
{
	char cn[128];
	int n =
	    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, cn, sizeof cn);

	return n >= 7 && memcmp(cn, "derpkey", 7) == 0;
}

static bool is_for(X509 *cert, const char *name)
{
	struct ip ip;

	if (ip_parse(bytes_str(name), &ip))
		return X509_check_ip_asc(cert, name, 0) == 1;
	return X509_check_host(cert, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

static bool verify_pin(struct tls_check *c, X509_STORE_CTX *store)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_untrusted(store);
	X509 *leaf = NULL;
	uint8_t sum[32];
	unsigned len = sizeof sum;

	for (int i = 0; i < sk_X509_num(chain); i++) {
		X509 *cert = sk_X509_value(chain, i);

		if (is_meta(cert))
			continue;
		if (leaf) {
			say(c, "more than one was presented, but it is pinned");
			return false;
		}
		leaf = cert;
	}
	if (!leaf || X509_digest(leaf, EVP_sha256(), sum, &len) != 1 ||
	    memcmp(sum, c->pin, sizeof sum) != 0)
		say(c, "it is not the pinned one");
	else if (X509_cmp_current_time(X509_get0_notBefore(leaf)) >= 0)
		say(c, "it is not valid yet (or this clock is wrong)");
	else if (X509_cmp_current_time(X509_get0_notAfter(leaf)) <= 0)
		say(c, "it has expired (or this clock is wrong)");
	else if (!is_for(leaf, c->host))
		say(c, "it is for another name");
	else if (leaf != X509_STORE_CTX_get0_cert(store))
		say(c, "it is not the one the server signs with");
	else
		return true;
	return false;
}

/* --- the chain --- */

static bool is_about_roots(int code)
{
	return code == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
	       code == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
	       code == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE ||
	       code == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
	       code == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT;
}

/* The same verification against another store. */
static bool verify_against(X509_STORE *roots, X509_STORE_CTX *first, struct tls_check *c,
			   X509 **root)
{
	X509_STORE_CTX *again = X509_STORE_CTX_new();
	STACK_OF(X509) * chain;
	bool ok = false;

	if (again && X509_STORE_CTX_init(again, roots, X509_STORE_CTX_get0_cert(first),
					 X509_STORE_CTX_get0_untrusted(first)) == 1) {
		X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(again),
				       X509_STORE_CTX_get0_param(first));
		ok = X509_verify_cert(again) == 1;
		if (ok) {
			chain = X509_STORE_CTX_get0_chain(again);
			*root = sk_X509_value(chain, sk_X509_num(chain) - 1);
			X509_up_ref(*root);
		} else {
			say_chain(c, again);
		}
	}
	X509_STORE_CTX_free(again);
	return ok;
}

static bool verify_chain(const struct tls_client *client, struct tls_check *c,
			 X509_STORE_CTX *store)
{
	X509 *root = NULL;
	bool ok = X509_verify_cert(store) == 1;

	if (ok)
		return true;
	say_chain(c, store);
	if (!is_about_roots(X509_STORE_CTX_get_error(store)))
		return false;
	for (enum tls_roots which = 0; !ok && which < TLS_ROOTS_N; which++) {
		X509_STORE *rest =
		    tls_roots_load(client, which, X509_STORE_CTX_get0_untrusted(store));

		if (rest)
			ok = verify_against(rest, store, c, &root);
		X509_STORE_free(rest);
	}
	if (ok && root)
		X509_STORE_add_cert(SSL_CTX_get_cert_store(client->ssl), root);
	X509_free(root);
	if (ok)
		X509_STORE_CTX_set_error(store, X509_V_OK);
	return ok;
}

int tls_verify(X509_STORE_CTX *store, void *arg)
{
	const struct tls_client *client = arg;
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_check *c = SSL_get_app_data(ssl);
	bool ok = c->is_insecure ||
		  (c->is_pinned ? verify_pin(c, store) : verify_chain(client, c, store));

	if (!ok && X509_STORE_CTX_get_error(store) == X509_V_OK)
		X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
	return ok;
}
