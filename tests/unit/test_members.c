/* /members: of a store on one machine, and of a real cluster in every state in which somebody may ask. */
#include "tests/unit/cluster_frame.h"

#include "fcgi/catalog/catalog.h"
#include "fcgi/order/order.h"
#include "tests/unit/worker_fixture.h"

static struct worker_fixture *fixture;

/* ---- one machine ------------------------------------------------------------------------------------------- */

static int open_fixture(void **state)
{
	(void)state;
	fixture = calloc(1, sizeof *fixture);
	worker_fixture_open(fixture, &order_app);
	return 0;
}

static int close_fixture(void **state)
{
	(void)state;
	worker_fixture_close(fixture);
	free(fixture);
	return 0;
}

static json_t *members_answer(void)
{
	assert_int_equal(ask(fixture, "GET /members", NULL, NULL, NULL), 200);
	json_t *answer = json_loads(fixture->body, 0, NULL);
	assert_true(json_is_object(answer));
	assert_string_equal(json_string_value(json_object_get(answer, "status")), "Success");
	return answer;
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text != NULL ? text : "";
}

static void a_store_shows_itself(void **state)
{
	(void)state;
	json_t *answer = members_answer();
	const json_t *log = json_object_get(answer, "log"), *self = json_array_get(json_object_get(answer, "members"), 0);
	assert_int_equal(json_array_size(json_object_get(answer, "members")), 1);
	assert_string_equal(text_of(log, "kind"), "embedded");
	assert_true(json_is_true(json_object_get(log, "quorum")));
	assert_string_equal(text_of(self, "phase"), "ready");
	assert_string_equal(text_of(self, "role"), "member");
	assert_true(json_is_true(json_object_get(self, "agrees")) && json_is_true(json_object_get(self, "self")));
	assert_int_equal(json_integer_value(json_object_get(self, "index")), 1);
	assert_int_equal(json_integer_value(json_object_get(self, "lag")), 0);
	json_decref(answer);
	assert_int_equal(ask(fixture, "GET /members?x=1", NULL, NULL, NULL), 400);
	assert_int_equal(ask(fixture, "POST /members", NULL, NULL, NULL), 405);
	assert_true(has_header(fixture, "Allow: GET, HEAD"));
}

#define URLS "{\"catalog_url\":\"http://127.0.1.9:8011\",\"order_url\":\"http://127.0.1.9:8013\"}"

static void a_store_has_no_list(void **state)
{
	(void)state;
	assert_int_equal(ask(fixture, "PUT /members/B", URLS, NULL, NULL), 401);
	assert_int_equal(ask(fixture, "PUT /members/B", URLS, AS_PEER, NULL), 401);
	assert_int_equal(ask(fixture, "PUT /members/B", URLS, AS_ADMIN, NULL), 409);
	assert_non_null(strstr(fixture->body, "\"code\":\"not_a_cluster\""));
	assert_int_equal(ask(fixture, "DELETE /members/B", NULL, NULL, NULL), 401);
	assert_int_equal(ask(fixture, "DELETE /members/B", NULL, AS_ADMIN, NULL), 409);
	assert_int_equal(ask(fixture, "POST /coherence/join", "{\"name\":\"F1\",\"url\":\"http://127.0.0.1:1\"}", "PYGMY_PRIVATE=1", NULL), 409);
	assert_int_equal(ask(fixture, "DELETE /frontends/F1", NULL, AS_ADMIN, NULL), 409);
	assert_int_equal(ask(fixture, "GET /members/B", NULL, NULL, NULL), 405);
	assert_true(has_header(fixture, "Allow: PUT, DELETE"));
}

/* ---- a cluster --------------------------------------------------------------------------------------------- */

static struct cluster_frame *frame;

static int stop_cluster(void **state)
{
	(void)state;
	if (fixture != NULL) {
		atomic_store(&fixture->worker.replica, NULL);
		worker_fixture_close(fixture);
		free(fixture);
		fixture = NULL;
	}
	cluster_stop(frame);
	return 0;
}

/* A catalog worker of that node. */
static void ask_node(int number)
{
	struct replica *own = fixture == NULL ? NULL : atomic_load(&fixture->worker.replica);
	if (fixture == NULL) {
		fixture = calloc(1, sizeof *fixture);
		worker_fixture_open(fixture, &catalog_app);
		own = atomic_load(&fixture->worker.replica);
		replica_close(own);
	}
	roster_close(&fixture->worker.roster);
	roster_init(&fixture->worker.roster);
	atomic_store(&fixture->worker.replica, frame->nodes[number].replica);
}

static void start(int members, int nodes)
{
	cluster_start(frame, members, nodes);
	cluster_init_log(frame);
	cluster_open_all(frame);
	ask_node(0);
}

/* A field of a member of the last answer, "-" when it is not in the list; numbers and booleans as JSON writes them. */
static const char *field(const char *name, const char *what)
{
	static char text[256];
	size_t index;
	json_t *answer = members_answer(), *member, *members = json_object_get(answer, "members");
	snprintf(text, sizeof text, "-");
	json_array_foreach(members, index, member) {
		if (strcmp(text_of(member, "name"), name) != 0)
			continue;
		char *dump = json_dumps(json_object_get(member, what), JSON_ENCODE_ANY);
		snprintf(text, sizeof text, "%s", json_is_string(json_object_get(member, what)) ? text_of(member, what) : dump == NULL ? "" : dump);
		free(dump);
	}
	json_decref(answer);
	return text;
}

#define BECOMES(name, what, value) assert_true(WAIT_FOR(strcmp(field(name, what), value) == 0, CLUSTER_LONG_MS))

static void all_members_are_shown(void **state)
{
	(void)state;
	start(3, 3);
	for (int i = 0; i < 3; i++) {
		ask_node(i);
		BECOMES("A", "agrees", "true");
		BECOMES("B", "agrees", "true");
		BECOMES("C", "agrees", "true");
		BECOMES("C", "phase", "ready");
		BECOMES("C", "role", "member");
		BECOMES("C", "lag", "0");
		assert_string_equal(field("B", "version"), "test");
		assert_string_equal(field("B", "order_url"), "http://127.0.1.2:8011");
		assert_string_equal(field("ABC"[i] == 'A' ? "A" : "ABC"[i] == 'B' ? "B" : "C", "self"), "true");
	}
	json_t *answer = members_answer();
	const json_t *log = json_object_get(answer, "log"), *endpoints = json_object_get(log, "endpoints"), *endpoint;
	int leaders = 0;
	size_t index;
	assert_string_equal(text_of(log, "kind"), "etcd");
	assert_true(json_is_true(json_object_get(log, "quorum")));
	assert_int_equal(strlen(text_of(log, "id")), LOG_ID_TEXT_LEN);
	assert_int_equal(json_array_size(endpoints), 3);
	json_array_foreach((json_t *)(uintptr_t)endpoints, index, endpoint) {
		leaders += json_is_true(json_object_get(endpoint, "leader"));
		assert_true(json_integer_value(json_object_get(endpoint, "db_bytes")) > 0);
	}
	assert_int_equal(leaders, 1);
	json_decref(answer);
	cluster_node_close(&frame->nodes[1]);
	ask_node(0);
	BECOMES("B", "role", "down");
	assert_string_equal(field("B", "live"), "false");
	assert_string_equal(field("B", "agrees"), "null");
}

static void the_list_is_changed(void **state)
{
	(void)state;
	start(1, 2);
	assert_int_equal(ask(fixture, "PUT /members/Z", URLS, AS_ADMIN, "HTTP_IDEMPOTENCY_KEY=k1"), 200);
	assert_non_null(strstr(fixture->body, "member Z is in the list"));
	assert_string_equal(field("Z", "catalog_url"), "http://127.0.1.9:8011");
	assert_string_equal(field("Z", "role"), "down");
	/* The same request again, and the key with another one. */
	assert_int_equal(ask(fixture, "PUT /members/Z", URLS, AS_ADMIN, "HTTP_IDEMPOTENCY_KEY=k1"), 200);
	assert_int_equal(ask(fixture, "PUT /members/Y", URLS, AS_ADMIN, "HTTP_IDEMPOTENCY_KEY=k1"), 422);
	assert_int_equal(ask(fixture, "DELETE /members/Z", NULL, AS_ADMIN, NULL), 200);
	assert_string_equal(field("Z", "role"), "-");
	assert_int_equal(ask(fixture, "DELETE /members/Z", NULL, AS_ADMIN, NULL), 404);
	assert_non_null(strstr(fixture->body, "member_not_found"));
	/* A node that was removed serves nothing, but shows the cluster, and may add itself again. */
	assert_int_equal(ask(fixture, "DELETE /members/A", NULL, AS_ADMIN, NULL), 200);
	BECOMES("A", "phase", "not_a_member");
	BECOMES("A", "role", "not configured");
	assert_int_equal(ask(fixture, "DELETE /members/B", NULL, AS_ADMIN, NULL), 409);
	assert_non_null(strstr(fixture->body, "last_member"));
	assert_int_equal(ask(fixture, "PUT /members/A", URLS, AS_ADMIN, NULL), 200);
	BECOMES("A", "phase", "ready");
}

/* ---- frontends ---------------------------------------------------------------------------------------------- */

#define JOIN "{\"name\":\"F1\",\"url\":\"http://127.0.0.1:1\"}"

static const char *lease_of(const char *frontend, const char *joined)
{
	char line[160];
	snprintf(line, sizeof line, "GET /coherence/changes?since=0&log=0000000000000000%s%s%s", frontend, joined[0] != '\0' ? "&joined=" : "", joined);
	assert_int_equal(ask(fixture, line, NULL, "PYGMY_PRIVATE=1", NULL), 200);
	return strstr(fixture->body, " fenced ") != NULL ? "fenced" : strstr(fixture->body, " reset ") != NULL ? "reset" : fixture->body;
}

static void frontends_join_and_are_forgotten(void **state)
{
	char joined[32];
	(void)state;
	start(1, 2);
	BECOMES("A", "phase", "ready");
	assert_int_equal(ask(fixture, "POST /coherence/join", JOIN, NULL, NULL), 404);
	assert_string_equal(lease_of("", ""), "fenced");
	assert_string_equal(lease_of("&frontend=F1", "7"), "fenced");
	assert_int_equal(ask(fixture, "POST /coherence/join", JOIN, "PYGMY_PRIVATE=1", NULL), 200);
	snprintf(joined, sizeof joined, "%lu", strtoul(fixture->body, NULL, 10));
	assert_string_equal(lease_of("&frontend=F1", joined), "reset");
	assert_string_equal(lease_of("&frontend=F2", joined), "fenced");
	assert_string_equal(lease_of("&frontend=F1", "1"), "fenced");
	assert_int_equal(ask(fixture, "GET /coherence/changes?since=0&frontend=F1&joined=x", NULL, "PYGMY_PRIVATE=1", NULL), 400);
	assert_int_equal(ask(fixture, "POST /coherence/join", "{\"name\":\"F1\",\"url\":\"http://127.0.0.1:2\"}", "PYGMY_PRIVATE=1", NULL), 409);
	assert_int_equal(ask(fixture, "POST /coherence/join", "{\"name\":\"F 1\",\"url\":\"http://127.0.0.1:2\"}", "PYGMY_PRIVATE=1", NULL), 400);
	assert_int_equal(ask(fixture, "POST /coherence/join", "{\"name\":\"F1\",\"url\":\"127.0.0.1:2\"}", "PYGMY_PRIVATE=1", NULL), 400);
	json_t *answer = members_answer();
	const json_t *shown = json_array_get(json_object_get(answer, "frontends"), 0);
	assert_string_equal(text_of(shown, "name"), "F1");
	assert_string_equal(text_of(shown, "url"), "http://127.0.0.1:1");
	assert_true(json_is_false(json_object_get(shown, "fenced")));
	json_decref(answer);
	/* One that counts is fenced first, and forgotten when no lease of it can be left. */
	assert_int_equal(ask(fixture, "DELETE /frontends/F1", NULL, NULL, NULL), 401);
	assert_int_equal(ask(fixture, "DELETE /frontends/F2", NULL, AS_ADMIN, NULL), 404);
	int64_t began_ms = test_now_ms();
	assert_int_equal(ask(fixture, "DELETE /frontends/F1", NULL, AS_ADMIN, NULL), 503);
	assert_non_null(strstr(fixture->body, "fence_is_new"));
	assert_string_equal(lease_of("&frontend=F1", joined), "fenced");
	bool forgotten = false;
	assert_true(WAIT_FOR(forgotten = forgotten || ask(fixture, "DELETE /frontends/F1", NULL, AS_ADMIN, NULL) == 200, CLUSTER_LONG_MS));
	assert_true(test_now_ms() - began_ms >= LEASE_DEFAULT_MS);
	answer = members_answer();
	assert_int_equal(json_array_size(json_object_get(answer, "frontends")), 0);
	json_decref(answer);
	/* A dead one costs the writes of all nodes one lease. */
	assert_int_equal(ask(fixture, "POST /coherence/join", JOIN, "PYGMY_PRIVATE=1", NULL), 200);
	(void)cluster_do(&frame->nodes[0], buy_of("buy/0/1", 1, 1));
	assert_true(WAIT_FOR(atomic_load(&replica_stats(frame->nodes[0].replica)->fences) == 1, CLUSTER_LONG_MS));
	(void)cluster_do(&frame->nodes[1], buy_of("buy/0/2", 1, 1));
	uint64_t lapses = atomic_load(&replica_stats(frame->nodes[1].replica)->push_lapses);
	for (int i = 0; i < 20; i++) {
		char key[32];
		snprintf(key, sizeof key, "buy/0/more-%d", i);
		(void)cluster_do(&frame->nodes[1], buy_of(key, 1, 1));
	}
	assert_int_equal(atomic_load(&replica_stats(frame->nodes[1].replica)->push_lapses), lapses);
	assert_int_equal(atomic_load(&replica_stats(frame->nodes[1].replica)->fences), 0);
}

static void a_frontend_leaves_before_it_stops(void **state)
{
	char leave[64], joined[32];
	(void)state;
	start(1, 2);
	BECOMES("A", "phase", "ready");
	assert_int_equal(ask(fixture, "POST /coherence/leave", "{\"name\":\"F1\",\"since\":3}", "PYGMY_PRIVATE=1", NULL), 404);
	assert_int_equal(ask(fixture, "POST /coherence/join", JOIN, "PYGMY_PRIVATE=1", NULL), 200);
	snprintf(joined, sizeof joined, "%lu", strtoul(fixture->body, NULL, 10));
	snprintf(leave, sizeof leave, "{\"name\":\"F1\",\"since\":%s}", joined);
	assert_int_equal(ask(fixture, "POST /coherence/leave", leave, NULL, NULL), 404);
	assert_int_equal(ask(fixture, "POST /coherence/leave", "{\"name\":\"F1\",\"since\":0}", "PYGMY_PRIVATE=1", NULL), 400);
	assert_int_equal(ask(fixture, "POST /coherence/leave", "{\"name\":\"F 1\",\"since\":3}", "PYGMY_PRIVATE=1", NULL), 400);
	assert_int_equal(ask(fixture, "POST /coherence/leave", "{\"name\":\"F1\",\"since\":1}", "PYGMY_PRIVATE=1", NULL), 409);
	assert_string_equal(lease_of("&frontend=F1", joined), "reset");
	assert_int_equal(ask(fixture, "POST /coherence/leave", leave, "PYGMY_PRIVATE=1", NULL), 200);
	assert_string_equal(lease_of("&frontend=F1", joined), "fenced");
	/* Nobody answers there, but no write has it fenced, and none waits for it when the lease has lapsed. */
	struct replica_stats *stats = replica_stats(frame->nodes[0].replica);
	int64_t lapsed_ms = test_now_ms() + LEASE_DEFAULT_MS;
	assert_true(WAIT_FOR(test_now_ms() > lapsed_ms, CLUSTER_LONG_MS));
	(void)cluster_do(&frame->nodes[0], buy_of("buy/0/1", 1, 1));
	assert_int_equal(atomic_load(&stats->push_lapses), 0);
	assert_int_equal(atomic_load(&stats->fences), 0);
}

static void what_is_wrong_is_refused(void **state)
{
	(void)state;
	start(1, 1);
	static const struct {
		const char *line, *body, *code;
	} cases[] = {
		{ "PUT /members/a.b", URLS, "invalid_parameter" },
		{ "PUT /members/01234567890123456", URLS, "invalid_parameter" },
		{ "PUT /members/B", "{\"catalog_url\":\"http://127.0.1.9:8011\"}", "missing_field" },
		{ "PUT /members/B", "{\"catalog_url\":\"http://127.0.1.9:8011\",\"order_url\":\"http://127.0.1.9\"}", "invalid_field" },
		{ "PUT /members/B", "{\"catalog_url\":\"http://127.0.1.9:8011/\",\"order_url\":\"http://127.0.1.9:1\"}", "invalid_field" },
		{ "PUT /members/B", "{\"catalog_url\":1,\"order_url\":\"http://127.0.1.9:1\"}", "invalid_field" },
		{ "PUT /members/B", "{\"catalog_url\":\"http://127.0.1.9:1\",\"order_url\":\"http://127.0.1.9:1\",\"x\":1}", "unknown_field" },
		{ "PUT /members/B", NULL, "body_required" },
		{ "DELETE /members/a.b", NULL, "invalid_parameter" },
		{ "DELETE /members/B", "{}", "body_not_allowed" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char code[64];
		assert_int_equal(ask(fixture, cases[i].line, cases[i].body, AS_ADMIN, NULL), 400);
		snprintf(code, sizeof code, "\"code\":\"%s\"", cases[i].code);
		if (strstr(fixture->body, code) == NULL)
			fail_msg("%s: %s", cases[i].line, fixture->body);
	}
}

/* Without etcd the list is what was known, and says so; nothing can be changed. */
static void without_etcd(void **state)
{
	(void)state;
	start(1, 1);
	BECOMES("A", "phase", "ready");
	etcd_server_kill(&frame->server, 0);
	struct node_view view;
	assert_true(WAIT_FOR((node_state_view(replica_node_state(frame->nodes[0].replica), &view), !view.quorum), CLUSTER_LONG_MS));
	json_t *answer = members_answer();
	const json_t *log = json_object_get(answer, "log");
	assert_true(json_is_false(json_object_get(log, "quorum")));
	json_decref(answer);
	assert_string_equal(field("A", "role"), "member");
	assert_int_equal(ask(fixture, "PUT /members/B", URLS, AS_ADMIN, NULL), 503);
	assert_non_null(strstr(fixture->body, "no_quorum"));
	ask_node(0);
	assert_string_equal(field("A", "role"), "unknown");
	assert_string_equal(field("A", "live"), "null");
}

/* One against one: both step out; a person removes the wrong one through the node that is in doubt. */
static void a_person_decides(void **state)
{
	(void)state;
	struct database database;
	start(1, 2);
	assert_int_equal(database_open(&database, frame->nodes[1].db_path, DATABASE_WRITE), PYGMY_OK);
	sql_run(&database, "UPDATE items SET cost_minor = cost_minor + 1 WHERE id = 1");
	database_close(&database);
	(void)cluster_try(&frame->nodes[0], buy_of("buy/0/x", 1, 1), &(struct result){ 0 });
	BECOMES("A", "phase", "in_doubt");
	BECOMES("B", "phase", "in_doubt");
	BECOMES("B", "agrees", "false");
	assert_int_equal(ask(fixture, "GET /lookup?id=1", NULL, NULL, NULL), 503);
	assert_int_equal(ask(fixture, "DELETE /members/B", NULL, AS_ADMIN, NULL), 200);
	BECOMES("A", "phase", "ready");
	BECOMES("B", "phase", "not_a_member");
	assert_int_equal(ask(fixture, "GET /lookup?id=1", NULL, NULL, NULL), 200);
}

int main(void)
{
	frame = calloc(1, sizeof *frame);
	if (frame == NULL)
		return 1;
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
#define ALONE(function) cmocka_unit_test_setup_teardown(function, open_fixture, close_fixture)
#define TOGETHER(function) cmocka_unit_test_teardown(function, stop_cluster)
	const struct CMUnitTest alone[] = { ALONE(a_store_shows_itself), ALONE(a_store_has_no_list) };
	const struct CMUnitTest together[] = {
		TOGETHER(all_members_are_shown), TOGETHER(the_list_is_changed), TOGETHER(what_is_wrong_is_refused), TOGETHER(without_etcd),
		TOGETHER(a_person_decides), TOGETHER(frontends_join_and_are_forgotten), TOGETHER(a_frontend_leaves_before_it_stops),
	};
	int failed = cmocka_run_group_tests(alone, NULL, NULL);
	fixture = NULL;
	failed += cmocka_run_group_tests(together, NULL, NULL);
	free(frame);
	return failed;
}
