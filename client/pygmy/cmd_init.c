/*
 * pygmy init: begins a cluster's log in etcd. The one command that does.
 */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "client/pygmy/commands.h"
#include "client/pygmy/wait.h"
#include "db/cluster.h"
#include "db/cluster_init.h"
#include "db/diagnostics.h"
#include "db/member.h"

struct init_options {
	struct args_list members;
	const char *etcd, *catalogue, *continue_path, *ca, *certificate, *key;
	struct cluster_init_member sets[MEMBERS_MAX];
	size_t set_count;
};

/* NAME=CATALOG_URL,ORDER_URL */
static bool parse_member(const char *text, struct cluster_init_member *out)
{
	const char *equals = strchr(text, '=');
	const char *comma = equals == NULL ? NULL : strchr(equals, ',');
	if (comma == NULL)
		return false;
	out->name = (struct slice){ text, (size_t)(equals - text) };
	out->catalog_url = (struct slice){ equals + 1, (size_t)(comma - equals - 1) };
	out->order_url = slice_of(comma + 1);
	return node_name_is_valid(out->name) && node_url_is_valid(out->catalog_url) && node_url_is_valid(out->order_url);
}

static enum outcome parse_members(const struct client *client, struct init_options *options)
{
	if (options->members.count == 0 || options->members.count > MEMBERS_MAX)
		return client_fail(client, OUTCOME_USAGE, "usage", "name 1 to %d members, each as NAME=CATALOG_URL,ORDER_URL", MEMBERS_MAX);
	for (size_t i = 0; i < options->members.count; i++) {
		struct cluster_init_member *set = &options->sets[options->set_count];
		if (!parse_member(options->members.values[i], set))
			return client_fail(client, OUTCOME_USAGE, "usage",
					   "\"%.200s\" is no member: it is like A=http://127.0.1.1:8011,http://127.0.1.1:8013 (a name has 1 to %d letters, "
					   "digits and hyphens)", options->members.values[i], NODE_NAME_MAX_BYTES);
		for (size_t j = 0; j < options->set_count; j++) {
			if (slice_equal(options->sets[j].name, set->name))
				return client_fail(client, OUTCOME_USAGE, "usage", "the member %.*s is named twice", (int)set->name.len, set->name.ptr);
		}
		options->set_count++;
	}
	return OUTCOME_DONE;
}

static enum outcome check_options(struct client *client, struct init_options *options)
{
	const struct settings *settings = &client->settings;
	if (options->etcd == NULL)
		options->etcd = settings->etcd;
	if (options->etcd[0] == '\0')
		return client_fail(client, OUTCOME_USAGE, "usage", "say where etcd is: --etcd \"http://127.0.1.1:2379 ...\" (or the setting PYGMY_ETCD)");
	if (options->catalogue != NULL && options->continue_path != NULL)
		return client_fail(client, OUTCOME_USAGE, "usage", "--catalogue is for a new store, and --continue for one that has its items");
	return parse_members(client, options);
}

static void show_done(const struct client *client, const struct init_options *options, const struct cluster_init_result *result)
{
	char cluster_id[20];
	(void)snprintf(cluster_id, sizeof(cluster_id), "%016" PRIx64, result->cluster_id);
	if (client->json) {
		client_print_json_value(json_pack("{s:I, s:s, s:I, s:I, s:s}", "base_index", (json_int_t)result->base_index, "cluster_id", cluster_id,
						  "entries", (json_int_t)result->entries, "found", (json_int_t)result->found, "status", "Success"));
		return;
	}
	(void)printf("%s the log with %zu members%s.\n", result->found > 0 ? "Completed" : "Began", options->set_count,
		     options->catalogue != NULL ? " and the first catalogue" : "");
	if (options->continue_path != NULL)
		(void)printf("It continues index %" PRIu64 ": give each node, or at least one, the database %s before it starts.\n", result->base_index,
			     options->continue_path);
}

static const struct {
	enum cluster_init_outcome from;
	enum outcome to;
	const char *code;
} ends[] = {
	{ CLUSTER_INIT_EXISTS, OUTCOME_REFUSED, "log_exists" },
	{ CLUSTER_INIT_DIFFERS, OUTCOME_REFUSED, "log_differs" },
	{ CLUSTER_INIT_BAD_INPUT, OUTCOME_LOCAL, "file" },
	{ CLUSTER_INIT_UNREACHABLE, OUTCOME_UNAVAILABLE, "etcd" },
	{ CLUSTER_INIT_STOPPED, OUTCOME_INTERRUPTED, "interrupted" },
	{ CLUSTER_INIT_NO_MEMORY, OUTCOME_LOCAL, "out_of_memory" },
};

static bool goes_on(void *context)
{
	(void)context;
	return !wait_is_interrupted();
}

static enum outcome init_cluster(const struct client *client, const struct init_options *options)
{
	const struct settings *settings = &client->settings;
	const struct tls_files tls = { options->ca != NULL ? options->ca : settings->peer_ca,
				       options->certificate != NULL ? options->certificate : settings->peer_certificate,
				       options->key != NULL ? options->key : settings->peer_key };
	const struct cluster_init init = { .members = options->sets, .member_count = options->set_count, .catalogue_path = options->catalogue,
					   .continue_path = options->continue_path, .go_on = goes_on,
					   .call_ms = settings->timeout_ms };
	struct cluster_init_result result;
	struct etcd *etcd = NULL;
	/* What is wrong with a catalogue is said there, with its place. */
	diagnostics_init("pygmy", DIAGNOSTICS_ERROR);
	if (sodium_init() < 0)
		return client_fail(client, OUTCOME_LOCAL, "random", "the system gives no random numbers");
	if (!etcd_create(options->etcd, &tls, &etcd))
		return client_fail(client, OUTCOME_USAGE, "usage", "--etcd takes URLs like http://127.0.1.1:2379, with blanks between them");
	enum cluster_init_outcome end = cluster_init_run(etcd, &init, &result);
	etcd_destroy(etcd);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		if (ends[i].from == end)
			return client_fail(client, ends[i].to, ends[i].code, "%s", result.why);
	}
	show_done(client, options, &result);
	return OUTCOME_DONE;
}

static enum outcome run_init(struct client *client, int argc, char **argv)
{
	struct init_options given = { 0 };
	const struct args_option options[] = {
		ARGS_OPTION_LIST("--member", &given.members),
		ARGS_OPTION_STRING("--etcd", &given.etcd),
		ARGS_OPTION_STRING("--catalogue", &given.catalogue),
		ARGS_OPTION_STRING("--continue", &given.continue_path),
		ARGS_OPTION_STRING("--peer-ca", &given.ca),
		ARGS_OPTION_STRING("--peer-cert", &given.certificate),
		ARGS_OPTION_STRING("--peer-key", &given.key),
	};
	struct args args;
	enum outcome outcome;
	if (!client_begin(client, options, sizeof(options) / sizeof(options[0]), argc, argv, 0, MEMBERS_MAX, &args, &outcome))
		return outcome;
	for (size_t i = 0; i < args.positional_count && given.members.count < ARGS_POSITIONALS_MAX; i++)
		given.members.values[given.members.count++] = args.positionals[i];
	outcome = check_options(client, &given);
	return outcome == OUTCOME_DONE ? init_cluster(client, &given) : outcome;
}

const struct command command_init = {
	.name = "init",
	.usage = "[--etcd ENDPOINTS] [--member] NAME=CATALOG_URL,ORDER_URL... [--catalogue FILE | --continue DATABASE]",
	.summary = "begin the log of a new cluster, once",
	.help = "Writes the first entries of the log into an etcd that holds none: its beginning, the members, the first catalogue. A log that is\n"
		"there is never touched. When it was interrupted, the same command completes it.\n\n"
		"  --etcd ENDPOINTS     etcd's members, with blanks between them (PYGMY_ETCD)\n"
		"  --member NAME=CATALOG_URL,ORDER_URL\n"
		"                       a node, and where its workers are reached; once for each (--member may be left out)\n"
		"  --catalogue FILE     the items that the store begins with: a JSON list as pygmy export writes it, up to 64 MiB\n"
		"  --continue DATABASE  begin behind the position of this database, made by pygmy restore: to restore a whole cluster\n"
		"  --peer-ca, --peer-cert, --peer-key FILE\n"
		"                       for TLS with etcd (PYGMY_PEER_CA, PYGMY_PEER_CERT, PYGMY_PEER_KEY)\n\n"
		"Example: pygmy init --etcd http://127.0.1.1:2379 --member A=http://127.0.1.1:8011,http://127.0.1.1:8013\n",
	.run = run_init,
};
