/* etcd_care: compaction, defragmentation, alarms and the members' state; see etcd.h. */
#include <inttypes.h>
#include <stdio.h>

#include "db/etcd_call.h"

static enum etcd_outcome read_anything(void *context, const json_t *answer)
{
	(void)context;
	(void)answer; /* an object; these answers are empty */
	return ETCD_OK;
}

enum etcd_outcome etcd_compact(struct etcd *etcd, uint64_t revision, int64_t deadline_ms)
{
	struct etcd_request request = { .path = "/v3/kv/compaction", .is_write = true, .endpoint = -1, .read = read_anything };
	etcd_body_start(etcd, "{\"revision\":");
	etcd_body_number(etcd, revision);
	etcd_body_text(etcd, "}");
	return etcd_call(etcd, &request, deadline_ms);
}

/* ---- members -------------------------------------------------------------------------------------------- */

static enum etcd_outcome read_status(void *context, const json_t *answer)
{
	struct etcd_status *out = context, status = { 0 };
	const json_t *header;
	struct slice version;
	if (!etcd_json_object(answer, "header", &header) || !etcd_json_number(header, "cluster_id", &status.cluster_id) ||
	    !etcd_json_number(header, "member_id", &status.member_id) || !etcd_json_number(answer, "leader", &status.leader_id) ||
	    !etcd_json_number(answer, "raftTerm", &status.raft_term) || !etcd_json_number(answer, "raftIndex", &status.raft_index) ||
	    !etcd_json_number(answer, "dbSize", &status.db_bytes) || !etcd_json_number(answer, "dbSizeInUse", &status.db_used_bytes) ||
	    !etcd_json_text(answer, "version", &version) || status.cluster_id == 0)
		return ETCD_UNKNOWN;
	snprintf(status.version, sizeof status.version, "%.*s", (int)(version.len < 64 ? version.len : 64), version.len > 0 ? version.ptr : "");
	*out = status;
	return ETCD_OK;
}

enum etcd_outcome etcd_status(struct etcd *etcd, int endpoint, int64_t deadline_ms, struct etcd_status *out)
{
	struct etcd_request request = { .path = "/v3/maintenance/status", .without_leader = true, .endpoint = endpoint % etcd->count,
					.read = read_status, .context = out };
	etcd_body_start(etcd, "{}");
	return etcd_call(etcd, &request, deadline_ms);
}

enum etcd_outcome etcd_defragment(struct etcd *etcd, int endpoint, int64_t deadline_ms)
{
	struct etcd_request request = { .path = "/v3/maintenance/defragment", .is_write = true, .without_leader = true,
					.endpoint = endpoint % etcd->count, .read = read_anything };
	etcd_body_start(etcd, "{}");
	return etcd_call(etcd, &request, deadline_ms);
}

/* ---- alarms --------------------------------------------------------------------------------------------- */

struct alarm_reader {
	struct etcd_alarm *alarms;
	int max, count;
};

static enum etcd_outcome read_alarms(void *context, const json_t *answer)
{
	struct alarm_reader *reader = context;
	const json_t *list;
	if (!etcd_json_list(answer, "alarms", &list))
		return ETCD_UNKNOWN;
	reader->count = 0;
	for (size_t i = 0; i < json_array_size(list) && reader->count < reader->max; i++) {
		const json_t *alarm = json_array_get(list, i);
		struct etcd_alarm *out = &reader->alarms[reader->count];
		struct slice type;
		if (!json_is_object(alarm) || !etcd_json_number(alarm, "memberID", &out->member_id) || !etcd_json_text(alarm, "alarm", &type))
			return ETCD_UNKNOWN;
		out->type = slice_equal(type, SLICE_LITERAL("NOSPACE")) ? ETCD_ALARM_NO_SPACE : ETCD_ALARM_CORRUPT;
		/* (Later versions may know more.) */
		if (out->type == ETCD_ALARM_NO_SPACE || slice_equal(type, SLICE_LITERAL("CORRUPT")))
			reader->count++;
	}
	return ETCD_OK;
}

enum etcd_outcome etcd_alarms(struct etcd *etcd, int64_t deadline_ms, struct etcd_alarm *alarms, int max, int *count)
{
	struct alarm_reader reader = { alarms, max, 0 };
	struct etcd_request request = { .path = "/v3/maintenance/alarm", .endpoint = -1, .read = read_alarms, .context = &reader };
	etcd_body_start(etcd, "{\"action\":\"GET\"}");
	enum etcd_outcome outcome = etcd_call(etcd, &request, deadline_ms);
	*count = outcome == ETCD_OK ? reader.count : 0;
	return outcome;
}

enum etcd_outcome etcd_disarm(struct etcd *etcd, const struct etcd_alarm *alarm, int64_t deadline_ms)
{
	struct etcd_request request = { .path = "/v3/maintenance/alarm", .is_write = true, .endpoint = -1, .read = read_anything };
	etcd_body_start(etcd, "{\"action\":\"DEACTIVATE\",\"memberID\":");
	etcd_body_number(etcd, alarm->member_id);
	etcd_body_text(etcd, alarm->type == ETCD_ALARM_NO_SPACE ? ",\"alarm\":\"NOSPACE\"}" : ",\"alarm\":\"CORRUPT\"}");
	return etcd_call(etcd, &request, deadline_ms);
}
