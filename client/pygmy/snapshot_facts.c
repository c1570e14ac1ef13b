/*
 * snapshot_facts: see snapshot_facts.h.
 */
#include "client/pygmy/snapshot_facts.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "client/pygmy/progress.h"
#include "client/pygmy/safe_text.h"
#include "db/diagnostics.h"

#define LINE_MAX_BYTES 8192

bool snapshot_facts_init(void)
{
	diagnostics_init("pygmy", DIAGNOSTICS_ERROR + 1);
	return sodium_init() >= 0;
}

static void show_json(const char *file, const struct snapshot_info *info, const char *chain)
{
	char cluster_id[24];
	(void)snprintf(cluster_id, sizeof(cluster_id), "%016" PRIx64, info->cluster_id);
	json_t *facts = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s}", "file", file, "chain", chain, "log_id", info->log_id, "revision",
				  (json_int_t)info->index, "items", (json_int_t)info->items, "orders", (json_int_t)info->orders, "bytes",
				  (json_int_t)info->bytes, "status", "Success");
	if (facts != NULL && info->cluster_id != 0)
		(void)json_object_update_new(facts, json_pack("{s:s, s:I, s:I}", "cluster_id", cluster_id, "create_revision",
							      (json_int_t)info->create_revision, "base_index", (json_int_t)info->base_index));
	client_print_json_value(facts);
}

static void show_text(const char *done, const char *file, const struct snapshot_info *info, const char *chain)
{
	struct text line = TEXT_INIT(LINE_MAX_BYTES);
	(void)text_append_format(&line, "%s ", done);
	(void)safe_text_append(&line, file, strlen(file));
	(void)text_append_string(&line, ":\n  items     ");
	count_append(&line, (uint64_t)info->items);
	(void)text_append_string(&line, "\n  orders    ");
	count_append(&line, (uint64_t)info->orders);
	(void)text_append_string(&line, "\n  bytes     ");
	count_append(&line, (uint64_t)info->bytes);
	(void)text_append_format(&line, "\n  revision  %" PRIu64 "\n  chain     %s\n  log       %s", info->index, chain, info->log_id);
	if (info->cluster_id != 0)
		(void)text_append_format(&line, " (cluster %016" PRIx64 ", created at %" PRIu64 ", begins at %" PRIu64 ")", info->cluster_id,
					 info->create_revision, info->base_index);
	(void)printf("%s\n", text_borrow(&line));
	text_close(&line);
}

void snapshot_facts_show(const struct client *client, const char *done, const char *file, const struct snapshot_info *info)
{
	char chain[2 * CHAIN_BYTES + 1];
	(void)sodium_bin2hex(chain, sizeof(chain), info->chain, sizeof(info->chain));
	if (client->json)
		show_json(file, info, chain);
	else
		show_text(done, file, info, chain);
}

enum outcome snapshot_facts_fail(const struct client *client, const char *file, enum pygmy_error error, const char *why)
{
	if (error == PYGMY_STORAGE_CORRUPT)
		return client_fail(client, OUTCOME_REFUSED, "damaged", "%s is not a good backup: %s", file, why);
	if (error == PYGMY_INCOMPATIBLE)
		return client_fail(client, OUTCOME_REFUSED, "incompatible", "%s can't be used: %s", file, why);
	return client_fail(client, OUTCOME_LOCAL, "file", "%s: %s", file, why);
}
