/* containerboot/owner_text.c - see owner_text.h */
#include "containerboot/owner_text.h"

#include <string.h>

#include "base/json.h"

struct facts {
	bool is_going;
	char version[KUBE_VERSION_MAX];
};

static void metadata(struct json *j, struct facts *f)
{
	struct bytes key;
	char time[64];

	json_obj(j);
	while (json_key(j, &key))
		if (bytes_eq_str(key, "deletionTimestamp"))
			f->is_going = json_str(j, time, sizeof time) > 0;
		else if (bytes_eq_str(key, "resourceVersion"))
			json_str(j, f->version, sizeof f->version);
		else
			json_skip(j);
}

/* It becomes part of a request's target. */
static bool is_version(const char *s)
{
	return s[strspn(s, "0123456789")] == 0;
}

static bool object(struct bytes text, struct facts *f)
{
	struct json j = json_of(text);
	struct bytes key;

	*f = (struct facts){ 0 };
	json_obj(&j);
	while (json_key(&j, &key))
		if (bytes_eq_str(key, "metadata"))
			metadata(&j, f);
		else
			json_skip(&j);
	return json_done(&j) && is_version(f->version);
}

enum owner_says owner_object_parse(struct bytes text, char version[static KUBE_VERSION_MAX])
{
	struct facts f;

	if (!object(text, &f))
		return OWNER_BAD;
	memcpy(version, f.version, sizeof f.version);
	return f.is_going ? OWNER_GONE : OWNER_THERE;
}

enum owner_says owner_event_parse(struct bytes line, char version[static KUBE_VERSION_MAX])
{
	struct json j = json_of(line);
	struct bytes key, what = { NULL, 0 };
	char type[16] = "";
	struct facts f;

	json_obj(&j);
	while (json_key(&j, &key))
		if (bytes_eq_str(key, "type"))
			json_str(&j, type, sizeof type);
		else if (bytes_eq_str(key, "object"))
			what = json_raw(&j);
		else
			json_skip(&j);
	if (!json_done(&j) || strcmp(type, "ERROR") == 0 || !object(what, &f))
		return OWNER_BAD;
	memcpy(version, f.version, sizeof f.version);
	if (strcmp(type, "DELETED") == 0)
		return OWNER_GONE;
	if (strcmp(type, "ADDED") != 0 && strcmp(type, "MODIFIED") != 0)
		return OWNER_NOTHING;
	return f.is_going ? OWNER_GONE : OWNER_THERE;
}
