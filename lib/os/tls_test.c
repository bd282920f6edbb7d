/* os/tls_test.c - TLS streams against our server with good certificates and against hostile ones
 *
 * A CA and leaves are made anew in a directory of each test; the far end is a plain stream of the
 * same loop where it must misbehave below TLS.
 */
#include "os/tls.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "os/file.h"
#include "os/listen.h"
#include "os/stream.h"
#include "tests/stream_peer.h"

static struct loop *loop;
static char dir[64];

/* --- certificates --- */

struct pair {
	EVP_PKEY *key;
	X509 *cert;
};
struct wish {
	const char *name; /* DNS name or address, also the CN */
	long from, to;    /* days from now */
	bool is_ca;
	const struct pair *issuer; /* NULL: itself */
};

static void extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ck_assert_ptr_nonnull(ext);
	ck_assert_int_eq(X509_add_ext(cert, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

static struct pair make(const struct wish *w)
{
	struct pair p = { EVP_EC_gen("P-256"), X509_new() };
	const struct pair *issuer = w->issuer ? w->issuer : &p;
	X509_NAME *name = X509_get_subject_name(p.cert);
	static long serial;
	struct ip ip;
	char alt[300];

	X509_set_version(p.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(p.cert), ++serial);
	X509_time_adj_ex(X509_getm_notBefore(p.cert), (int)w->from, 0, NULL);
	X509_time_adj_ex(X509_getm_notAfter(p.cert), (int)w->to, 0, NULL);
	X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_ASC,
				   (const unsigned char *)w->name, -1, -1, 0);
	X509_set_issuer_name(p.cert, X509_get_subject_name(issuer->cert));
	X509_set_pubkey(p.cert, p.key);
	if (w->is_ca) {
		extend(p.cert, issuer->cert, NID_basic_constraints, "critical,CA:TRUE");
	} else {
		snprintf(alt, sizeof alt, "%s:%s", ip_parse(bytes_str(w->name), &ip) ? "IP" : "DNS",
			 w->name);
		extend(p.cert, issuer->cert, NID_subject_alt_name, alt);
	}
	ck_assert_int_gt(X509_sign(p.cert, issuer->key, EVP_sha256()), 0);
	return p;
}

static void pair_free(struct pair *p)
{
	EVP_PKEY_free(p->key);
	X509_free(p->cert);
}

static char *in_dir(const char *name)
{
	static char path[4][128];
	static int turn;
	char *p = path[turn++ & 3];

	snprintf(p, sizeof path[0], "%s/%s", dir, name);
	return p;
}

static void save_certs(const char *name, X509 *const *v, size_t n)
{
	FILE *f = fopen(in_dir(name), "w");

	ck_assert_ptr_nonnull(f);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(PEM_write_X509(f, v[i]), 1);
	fclose(f);
}

static void save_key(const char *name, EVP_PKEY *key)
{
	FILE *f = fopen(in_dir(name), "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(f);
}

static void pin_of(X509 *cert, char out[static TLS_PIN_TEXT])
{
	uint8_t sum[32];
	unsigned len = sizeof sum;

	X509_digest(cert, EVP_sha256(), sum, &len);
	memcpy(out, "sha256-raw:", 11);
	hex_emit(sum, sizeof sum, out + 11);
}

/* --- both ends --- */

static struct peer client, server;
static struct tls_server *server_tls; /* NULL: the server does not speak TLS */
static struct listener *listener;

static void accepted(void *ctx, int fd, const struct ipport *from)
{
	(void)from;
	(void)ctx;
	ck_assert_ptr_null(server.s);
	server.closed = server.opened = false;
	server.s = server_tls
		       ? stream_adopt_tls(loop, fd, server_tls, SPAN_S(10), &peer_ops, &server)
		       : stream_adopt(loop, fd, &peer_ops, &server);
	ck_assert_ptr_nonnull(server.s);
}

static void start(void)
{
	struct err err;
	struct peer *const both[] = { &client, &server };

	memcpy(dir, "/tmp/tls_test_XXXXXX", 21);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	loop = loop_new();
	for (int i = 0; i < 2; i++) {
		peer_init(both[i]);
		both[i]->piece = 5000; /* so that records are gathered */
	}
	listener = listen_tcp(loop, "127.0.0.1:0", accepted, NULL, &err);
	ck_assert_msg(listener != NULL, "%s", err.text);
}

static void stop(void)
{
	char cmd[128];

	peer_fini(&client);
	peer_fini(&server);
	listener_close(listener);
	loop_turn(loop, SPAN_MS(1));
	tls_server_free(server_tls);
	server_tls = NULL;
	loop_free(loop);
	snprintf(cmd, sizeof cmd, "rm -r %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

static struct tls_client *roots(const char *file, const char *ca_dir)
{
	struct tls_client_conf conf = { file ? in_dir(file) : NULL, ca_dir ? ca_dir : dir };
	struct err err;
	struct tls_client *c = tls_client_new(&conf, &err);

	ck_assert_msg(c != NULL, "%s", err.text);
	return c;
}

static void dial(struct tls_client *tls, const char *host, const char *cert_name, bool is_insecure)
{
	static const struct ip loopback = { { [10] = 0xff, [11] = 0xff, 127, 0, 0, 1 } };
	struct stream_conf conf = { .dial = { .host = host,
					      .port = listener_port(listener),
					      .addrs = &loopback,
					      .n_addrs = 1 },
				    .tls = tls,
				    .expect = { .cert_name = cert_name,
						.is_insecure = is_insecure } };
	struct err err;

	client.closed = client.opened = false;
	client.why.code = 0;
	client.s = stream_dial(loop, &conf, &peer_ops, &client, &err);
	ck_assert_msg(client.s != NULL, "%s", err.text);
}

#define UNTIL(cond)                                                                                \
	do {                                                                                       \
		for (int turn_ = 0; turn_ < 2000 && !(cond); turn_++)                              \
			loop_turn(loop, SPAN_MS(50));                                              \
		ck_assert_msg((cond), "%s; client: %s; server: %s", #cond, client.why.text,        \
			      server.why.text);                                                    \
	} while (0)

static void expect_open(void)
{
	UNTIL(client.opened || client.closed);
	ck_assert_msg(client.opened, "%s", client.why.text);
	stream_close(client.s);
	client.s = NULL;
	UNTIL(!server.s);
}

static void expect_refusal(const char *words)
{
	UNTIL(client.closed);
	ck_assert(!client.opened);
	ck_assert_msg(strstr(client.why.text, words) != NULL, "wanted '%s' in '%s'", words,
		      client.why.text);
	ck_assert_ptr_nonnull(strstr(client.why.text, ":")); /* host:port in front */
	UNTIL(!server.s);
}

/* A server with one certificate of a fresh CA, whose certificate is in file "ca". */
static void serve_ca(const char *name, long from, long to)
{
	struct pair ca = make(&(struct wish){ "Test CA", -1, 30, true, NULL });
	struct pair leaf = make(&(struct wish){ name, from, to, false, &ca });
	struct err err;

	save_certs("ca", &ca.cert, 1);
	save_certs("cert", &leaf.cert, 1);
	save_key("key", leaf.key);
	server_tls = tls_server_new(in_dir("cert"), in_dir("key"), &err);
	ck_assert_msg(server_tls != NULL, "%s", err.text);
	pair_free(&ca);
	pair_free(&leaf);
}

/* --- a chain to a root --- */

TEST(a_bundle_verifies_and_its_root_is_kept_so_the_file_is_not_needed_again)
{
	struct tls_client *c;

	start();
	serve_ca("host.example.com", -1, 30);
	c = roots("ca", "/nonexistent");
	dial(c, "host.example.com", NULL, false);
	expect_open();
	ck_assert_int_eq(unlink(in_dir("ca")), 0);
	dial(c, "host.example.com", NULL, false);
	expect_open();
	tls_client_free(c);
	stop();
}

TEST(a_root_among_many_is_found)
{
	struct tls_client *c;
	X509 *many[40], *ca;
	FILE *f;

	start();
	serve_ca("host.example.com", -1, 30);
	f = fopen(in_dir("ca"), "r");
	ca = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		struct pair p = make(&(struct wish){ "Another CA", -1, 30, true, NULL });

		many[i] = p.cert;
		EVP_PKEY_free(p.key);
	}
	X509_free(many[30]);
	many[30] = ca;
	save_certs("ca", many, ARRAY_LEN(many));
	c = roots("ca", "/nonexistent");
	dial(c, "host.example.com", NULL, false);
	expect_open();
	tls_client_free(c);
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		X509_free(many[i]);
	stop();
}

TEST(a_root_whose_name_is_written_in_another_string_type_is_found)
{
	struct pair ca, leaf;
	struct tls_client *c;
	X509_NAME *name = X509_NAME_new();
	struct err err;
	X509 *alias;

	start();
	ca = make(&(struct wish){ "Test CA", -1, 30, true, NULL });
	leaf = make(&(struct wish){ "host.example.com", -1, 30, false, &ca });
	alias = X509_dup(ca.cert);
	X509_NAME_add_entry_by_NID(name, NID_commonName, V_ASN1_BMPSTRING,
				   (const unsigned char *)"\0T\0e\0s\0t\0 \0C\0A", 14, -1, 0);
	X509_set_subject_name(alias, name);
	X509_set_issuer_name(alias, name);
	ck_assert_int_gt(X509_sign(alias, ca.key, EVP_sha256()), 0);
	save_certs("ca", &alias, 1);
	save_certs("cert", &leaf.cert, 1);
	save_key("key", leaf.key);
	server_tls = tls_server_new(in_dir("cert"), in_dir("key"), &err);
	ck_assert_msg(server_tls != NULL, "%s", err.text);
	c = roots("ca", "/nonexistent");
	dial(c, "host.example.com", NULL, false);
	expect_open();
	tls_client_free(c);
	X509_free(alias);
	X509_NAME_free(name);
	pair_free(&ca);
	pair_free(&leaf);
	stop();
}

TEST(a_hashed_directory_verifies)
{
	struct tls_client *c;
	char name[32], hashed[96];
	X509 *ca;
	FILE *f;

	start();
	serve_ca("host.example.com", -1, 30);
	snprintf(hashed, sizeof hashed, "%s/hashed", dir);
	ck_assert_int_eq(mkdir(hashed, 0700), 0);
	f = fopen(in_dir("ca"), "r");
	ca = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	snprintf(name, sizeof name, "hashed/%08lx.0", X509_subject_name_hash(ca));
	save_certs(name, &ca, 1);
	X509_free(ca);
	ck_assert_int_eq(unlink(in_dir("ca")), 0);
	c = roots(NULL, hashed);
	dial(c, "host.example.com", NULL, false);
	expect_open();
	tls_client_free(c);
	stop();
}

TEST(a_directory_without_hashes_verifies_too)
{
	struct tls_client *c;

	start();
	serve_ca("host.example.com", -1, 30);
	c = roots(NULL, NULL); /* the test's own directory */
	dial(c, "host.example.com", NULL, false);
	expect_open();
	tls_client_free(c);
	stop();
}

TEST(an_address_is_verified_as_an_address)
{
	struct tls_client *c;

	start();
	serve_ca("127.0.0.1", -1, 30);
	c = roots("ca", NULL);
	dial(c, "127.0.0.1", NULL, false);
	expect_open();
	dial(c, "127.0.0.2", NULL, false);
	expect_refusal("another name");
	tls_client_free(c);
	stop();
}

TEST(a_certificate_for_another_name_is_refused_and_cert_name_accepts_it)
{
	struct tls_client *c;

	start();
	serve_ca("host.example.com", -1, 30);
	c = roots("ca", NULL);
	dial(c, "other.example.com", NULL, false);
	expect_refusal("it is for another name");
	dial(c, "other.example.com", "host.example.com", false);
	expect_open();
	dial(c, "host.example.com", "other.example.com", false);
	expect_refusal("certificate of other.example.com");
	tls_client_free(c);
	stop();
}

TEST(an_expired_certificate_is_refused)
{
	struct tls_client *c;

	start();
	serve_ca("host.example.com", -30, -1);
	c = roots("ca", NULL);
	dial(c, "host.example.com", NULL, false);
	expect_refusal("it has expired");
	dial(c, "host.example.com", NULL, true);
	expect_open();
	tls_client_free(c);
	stop();
}

TEST(a_certificate_of_the_future_is_refused)
{
	struct tls_client *c;

	start();
	serve_ca("host.example.com", 2, 30);
	c = roots("ca", NULL);
	dial(c, "host.example.com", NULL, false);
	expect_refusal("not valid yet");
	tls_client_free(c);
	stop();
}

TEST(an_unknown_ca_is_refused_with_advice)
{
	struct tls_client *c;
	struct pair other;

	start();
	serve_ca("host.example.com", -1, 30);
	other = make(&(struct wish){ "Other CA", -1, 30, true, NULL });
	save_certs("other", &other.cert, 1);
	pair_free(&other);
	c = roots("other", "/nonexistent");
	dial(c, "host.example.com", NULL, false);
	expect_refusal("SSL_CERT_FILE");
	tls_client_free(c);
	stop();
}

static char logged[256];

static void keep_line(enum log_level level, const char *line)
{
	(void)level;
	snprintf(logged, sizeof logged, "%s", line);
}

TEST(a_ca_file_without_a_certificate_is_warned_of_when_it_is_named)
{
	FILE *f;

	start();
	serve_ca("host.example.com", -1, 30);
	log_set(keep_line, LOG_WARN);
	tls_client_free(roots("ca", "/nonexistent"));
	ck_assert_str_eq(logged, "");
	f = fopen(in_dir("binary"), "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs("0\202\001", f), 0);
	ck_assert_int_eq(fclose(f), 0);
	tls_client_free(roots("binary", "/nonexistent"));
	ck_assert_ptr_nonnull(strstr(logged, "/binary: there is no certificate in PEM form"));
	log_set(NULL, LOG_ERROR);
	stop();
}

/* --- self-made certificates and pins --- */

static void serve_self(const char *name)
{
	struct err err;

	server_tls = tls_server_new_self(name, &err);
	ck_assert_msg(server_tls != NULL, "%s", err.text);
}

TEST(a_self_signed_certificate_is_refused_unless_pinned_or_insecure)
{
	struct tls_client *c;
	char pin[TLS_PIN_TEXT];

	start();
	serve_self("host.example.com");
	c = roots(NULL, NULL);
	dial(c, "host.example.com", NULL, false);
	expect_refusal("self-signed");
	tls_server_pin(server_tls, pin);
	dial(c, "host.example.com", pin, false);
	expect_open();
	dial(c, "host.example.com", NULL, true);
	expect_open();
	tls_client_free(c);
	stop();
}

TEST(a_wrong_pin_and_a_pinned_certificate_for_another_name_are_refused)
{
	struct tls_client *c;
	char pin[TLS_PIN_TEXT];

	start();
	serve_self("host.example.com");
	c = roots(NULL, NULL);
	tls_server_pin(server_tls, pin);
	dial(c, "other.example.com", pin, false);
	expect_refusal("another name");
	pin[20] = pin[20] == 'a' ? 'b' : 'a';
	dial(c, "host.example.com", pin, false);
	expect_refusal("not the pinned one");
	tls_client_free(c);
	stop();
}

TEST(a_malformed_pin_is_told_at_once)
{
	struct tls_client *c;

	start();
	serve_self("host.example.com");
	c = roots(NULL, NULL);
	dial(c, "host.example.com", "sha256-raw:1234", false);
	expect_refusal("64 hex digits");
	tls_client_free(c);
	stop();
}

/* leaf, then `second`, both presented; dialled with the leaf's pin */
static void serve_two(const char *second_name, long leaf_to, char pin[static TLS_PIN_TEXT])
{
	struct pair leaf = make(&(struct wish){ "host.example.com", -10, leaf_to, false, NULL });
	struct pair second = make(&(struct wish){ second_name, -1, 30, false, NULL });
	X509 *const both[] = { leaf.cert, second.cert };
	struct err err;

	save_certs("cert", both, 2);
	save_key("key", leaf.key);
	pin_of(leaf.cert, pin);
	server_tls = tls_server_new(in_dir("cert"), in_dir("key"), &err);
	ck_assert_msg(server_tls != NULL, "%s", err.text);
	pair_free(&leaf);
	pair_free(&second);
}

TEST(beside_a_pinned_certificate_only_derps_meta_certificate_may_be_presented)
{
	struct tls_client *c;
	char pin[TLS_PIN_TEXT];

	start();
	c = roots(NULL, NULL);
	serve_two("derpkey0123456789abcdef", 30, pin);
	dial(c, "host.example.com", pin, false);
	expect_open();
	tls_server_free(server_tls);
	serve_two("intermediate", 30, pin);
	dial(c, "host.example.com", pin, false);
	expect_refusal("more than one");
	tls_client_free(c);
	stop();
}

TEST(a_pinned_certificate_that_expired_is_refused)
{
	struct tls_client *c;
	char pin[TLS_PIN_TEXT];

	start();
	c = roots(NULL, NULL);
	serve_two("derpkey00", -1, pin);
	dial(c, "host.example.com", pin, false);
	expect_refusal("expired");
	tls_client_free(c);
	stop();
}

TEST(a_self_made_certificate_saved_and_loaded_has_the_same_pin)
{
	struct tls_server *again;
	char a[TLS_PIN_TEXT], b[TLS_PIN_TEXT];
	struct stat st;
	struct err err;

	start();
	serve_self("127.0.0.1");
	ck_assert_int_eq(tls_server_save(server_tls, in_dir("c"), in_dir("k"), &err), 0);
	ck_assert_int_eq(stat(in_dir("k"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	again = tls_server_new(in_dir("c"), in_dir("k"), &err);
	ck_assert_msg(again != NULL, "%s", err.text);
	tls_server_pin(server_tls, a);
	tls_server_pin(again, b);
	ck_assert_str_eq(a, b);
	tls_server_free(again);
	stop();
}

TEST(private_keys_lie_in_the_secure_heap_and_leave_it)
{
	struct tls_server *s, *t;
	struct err err;
	size_t one;

	start();
	s = tls_server_new_self("127.0.0.1", &err);
	ck_assert_msg(s != NULL, "%s", err.text);
	one = CRYPTO_secure_used();
	ck_assert_uint_gt(one, 0);
	ck_assert_int_eq(tls_server_save(s, in_dir("c"), in_dir("k"), &err), 0);
	ck_assert_uint_eq(CRYPTO_secure_used(), one);
	t = tls_server_new(in_dir("c"), in_dir("k"), &err);
	ck_assert_msg(t != NULL, "%s", err.text);
	ck_assert_uint_gt(CRYPTO_secure_used(), one);
	for (int i = 0; i < 100; i++) /* room for one more at a time is enough */
		ck_assert_int_eq(tls_server_reload(t, &err), 0);
	tls_server_free(t);
	ck_assert_uint_eq(CRYPTO_secure_used(), one);
	tls_server_free(s);
	ck_assert_uint_eq(CRYPTO_secure_used(), 0);
	stop();
}

TEST(bad_certificate_files_are_named)
{
	struct err err;
	struct pair a, b;

	start();
	a = make(&(struct wish){ "a", -1, 1, false, NULL });
	b = make(&(struct wish){ "b", -1, 1, false, NULL });
	save_certs("a.crt", &a.cert, 1);
	save_key("b.key", b.key);
	ck_assert_ptr_null(tls_server_new(in_dir("none.crt"), in_dir("b.key"), &err));
	ck_assert_ptr_nonnull(strstr(err.text, "none.crt"));
	ck_assert_ptr_null(tls_server_new(in_dir("a.crt"), in_dir("none.key"), &err));
	ck_assert_ptr_nonnull(strstr(err.text, "none.key"));
	ck_assert_ptr_null(tls_server_new(in_dir("b.key"), in_dir("b.key"), &err));
	ck_assert_ptr_nonnull(strstr(err.text, "certificate file"));
	ck_assert_ptr_null(tls_server_new(in_dir("a.crt"), in_dir("b.key"), &err));
	ck_assert_msg(strstr(err.text, "b.key") != NULL, "%s", err.text);
	pair_free(&a);
	pair_free(&b);
	stop();
}

/* --- bytes --- */

TEST(megabytes_go_both_ways_and_both_ends_close_in_order)
{
	enum { N = 8 << 20 };
	struct tls_client *c;
	uint8_t der[4096];

	start();
	serve_self("host.example.com");
	c = roots(NULL, NULL);
	peer_fill(&client.out, N);
	peer_fill(&server.out, N);
	dial(c, "host.example.com", NULL, true);
	UNTIL(client.in.len == N && server.in.len == N);
	ck_assert(bytes_eq(buf_bytes(&client.in), buf_bytes(&server.in)));
	ck_assert_uint_gt(stream_peer_cert(client.s, 0, der, sizeof der), 100);
	ck_assert_uint_eq(stream_peer_cert(client.s, 1, der, sizeof der), 0);
	ck_assert_uint_eq(stream_peer_cert(client.s, 0, der, 10), 0);
	stream_shutdown(client.s);
	UNTIL(client.closed && server.closed);
	ck_assert(client.ended && server.ended);
	ck_assert_int_eq(client.why.code, 0);
	ck_assert_int_eq(server.why.code, 0);
	tls_client_free(c);
	stop();
}

TEST(a_connection_cut_without_close_notify_is_an_error_not_an_end)
{
	struct tls_client *c;

	start();
	serve_self("host.example.com");
	c = roots(NULL, NULL);
	dial(c, "host.example.com", NULL, true);
	UNTIL(client.opened && server.opened);
	ck_assert(buf_append(&server.out, "half of it", 10));
	stream_kick(server.s);
	UNTIL(client.in.len == 10);
	ck_assert_int_eq(shutdown(stream_fd(server.s), SHUT_WR), 0);
	UNTIL(client.closed);
	ck_assert(!client.ended);
	ck_assert_int_eq(client.why.code, ECONNRESET);
	ck_assert_ptr_nonnull(strstr(client.why.text, "cut"));
	tls_client_free(c);
	stop();
}

/* --- far ends that are no TLS servers --- */

static void plain_server_says(const char *text, const char *words)
{
	struct tls_client *c;

	start();
	server_tls = NULL;
	c = roots(NULL, NULL);
	ck_assert(buf_append(&server.out, text, strlen(text)));
	dial(c, "host.example.com", NULL, false);
	expect_refusal(words);
	tls_client_free(c);
	stop();
}

TEST(a_server_that_speaks_http_is_named_as_such)
{
	plain_server_says("HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak TLS");
}

TEST(a_server_that_sends_garbage_is_refused)
{
	plain_server_says("\x16\x03\x03\x00\x04gargabe and more of it to fill a record",
			  "TLS handshake");
}

TEST(a_server_that_closes_in_the_handshake_is_told)
{
	struct tls_client *c;

	start();
	server_tls = NULL;
	c = roots(NULL, NULL);
	dial(c, "host.example.com", NULL, false);
	UNTIL(server.in.len > 0);
	stream_close(server.s);
	server.s = NULL;
	expect_refusal("closed the connection");
	tls_client_free(c);
	stop();
}

TEST(a_server_that_says_nothing_runs_into_the_time_limit)
{
	static const struct ip loopback = { { [10] = 0xff, [11] = 0xff, 127, 0, 0, 1 } };
	struct tls_client *c;
	struct stream_conf conf = { .dial = { .host = "host.example.com",
					      .addrs = &loopback,
					      .n_addrs = 1,
					      .timeout = SPAN_MS(60) } };
	struct err err;

	start();
	server_tls = NULL;
	c = roots(NULL, NULL);
	conf.tls = c;
	conf.dial.port = listener_port(listener);
	client.s = stream_dial(loop, &conf, &peer_ops, &client, &err);
	ck_assert_msg(client.s != NULL, "%s", err.text);
	UNTIL(client.closed);
	ck_assert_int_eq(client.why.code, ETIMEDOUT);
	tls_client_free(c);
	stop();
}

/* Plain bytes to our TLS port, until it has hung up; what it said lies in client.in. */
static void say_plain(const char *text, const char *words)
{
	static const struct ip loopback = { { [10] = 0xff, [11] = 0xff, 127, 0, 0, 1 } };
	struct stream_conf conf = {
		.dial = { .host = "host.example.com", .addrs = &loopback, .n_addrs = 1 }
	};
	struct err err;

	start();
	serve_self("host.example.com");
	conf.dial.port = listener_port(listener);
	ck_assert(buf_append(&client.out, text, strlen(text)));
	client.s = stream_dial(loop, &conf, &peer_ops, &client, &err);
	ck_assert_msg(client.s != NULL, "%s", err.text);
	UNTIL(server.closed && client.closed);
	ck_assert(!server.opened);
	ck_assert_msg(strstr(server.why.text, words) != NULL, "%s", server.why.text);
	ck_assert(buf_append(&client.in, "", 1));
}

TEST(a_client_that_sends_garbage_is_dropped_by_our_server)
{
	say_plain("GARBAGE / HTTP/1.1\r\n\r\n", "does not speak TLS");
	ck_assert_ptr_null(strstr((const char *)buf_bytes(&client.in).data, "HTTP"));
	stop();
}

TEST(a_client_that_speaks_http_is_told_in_http_to_come_by_https)
{
	static const char *const said[] = {
		"GET / HTTP/1.1\r\nHost: host.example.com\r\n\r\n",
		"HEAD / HTTP/1.1\r\n\r\n",
		"POST /ts2021 HTTP/1.1\r\nHost: host.example.com\r\nContent-Length: 3\r\n\r\nabc",
		"PUT / HTTP/1.1\r\n\r\n",
		"CONNECT host.example.com:443 HTTP/1.1\r\n\r\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(said); i++) {
		const char *reply;

		say_plain(said[i], "plain HTTP on a port for TLS");
		reply = (const char *)buf_bytes(&client.in).data;
		ck_assert_msg(strncmp(reply, "HTTP/1.0 400 ", 13) == 0, "%s", reply);
		ck_assert_ptr_nonnull(strstr(reply, "https://"));
		ck_assert(client.ended); /* in order, not by a reset */
		stop();
	}
}
