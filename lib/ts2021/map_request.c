/* ts2021/map_request.c - see map_request.h
 *
 * Headscale replaces what it has by what a request says, so each one carries all: disco key,
 * Hostinfo with NetInfo, endpoints. State goes up by lite updates; a stream request repeats it.
 */
#include "ts2021/map_request.h"

#include "base/json_member.h"

bool map_request_emit(struct buf *out, const struct map_request *rq)
{
	char key[KEY_TEXT_MAX];
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_ki64(&w, "Version", rq->version);
	if (rq->with_zstd)
		jsonw_kstr(&w, "Compress", "zstd");
	jsonw_kbool(&w, "KeepAlive", true);
	jsonw_kstr(&w, "NodeKey", key_pub_text(KEY_NODE, rq->node, key));
	if (rq->disco)
		jsonw_kstr(&w, "DiscoKey", key_pub_text(KEY_DISCO, rq->disco, key));
	if (rq->is_stream)
		jsonw_kbool(&w, "Stream", true);
	jsonw_key(&w, "Hostinfo");
	hostinfo_emit(rq->hostinfo, &w, rq->with_tags);
	if (rq->n_endpoints > 0) {
		jsonw_kipports(&w, "Endpoints", rq->endpoints, rq->n_endpoints);
		jsonw_key(&w, "EndpointTypes");
		jsonw_arr(&w);
		for (size_t i = 0; i < rq->n_endpoints; i++)
			jsonw_i64(&w, rq->types[i]);
		jsonw_arr_end(&w);
	}
	if (!rq->is_stream)
		jsonw_kbool(&w, "OmitPeers", true);
	jsonw_obj_end(&w);
	return jsonw_ok(&w);
}
