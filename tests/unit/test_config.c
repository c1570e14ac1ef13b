/* test_config: environment, file, defaults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fcgi/common/config.h"
#include "tests/unit/temporary_folder.h"

static struct temporary_folder folder;
static struct worker_config config;
static char why[256];

static int make_folder(void **state)
{
	(void)state;
	static const char *const NAMES[] = { "CONFIG", "NAME", "DB", "STATE_DIR", "RUN_DIR", "CATALOGUE", "SECRETS_DIR", "LOG_DIR", "FRONTENDS",
		"LEASE_MS", "THREADS", "LOG_LEVEL", "ETCD", "NODE", "NODE_URL", "PEER_CA", "PEER_CERT", "PEER_KEY", "LISTEN", "PORT_CATALOG_A" };
	for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
		char name[64];
		snprintf(name, sizeof name, "PYGMY_%s", NAMES[i]);
		unsetenv(name);
	}
	temporary_folder_make(&folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	temporary_folder_remove(&folder);
	return 0;
}

static bool load(void)
{
	return config_load(&config, "catalog", why, sizeof why);
}

static void has_defaults_below_the_state(void **state)
{
	(void)state;
	setenv("PYGMY_STATE_DIR", "/s p", 1);
	setenv("PYGMY_RUN_DIR", "/r", 1);
	assert_true(load());
	assert_string_equal(config.name, "catalog-A");
	assert_string_equal(config.db_path, "/s p/store.db");
	assert_string_equal(config.state_dir, "/s p");
	assert_string_equal(config.secrets_dir, "/s p/secrets");
	assert_string_equal(config.log_dir, "/s p/logs");
	assert_string_equal(config.catalogue_path, "/s p/app/catalogue.json");
	assert_string_equal(config.frontends, "unix:/r/frontend.sock");
	assert_int_equal(config.lease_ms, 2000);
	assert_int_equal(config.threads, 64);
	assert_int_equal(config.log_level, DIAGNOSTICS_INFO);
}

static void needs_a_place(void **state)
{
	(void)state;
	assert_false(load());
	assert_non_null(strstr(why, "PYGMY_STATE_DIR"));
}

static void environment_beats_file_beats_default(void **state)
{
	(void)state;
	char path[PATH_MAX];
	temporary_folder_write(&folder, "pygmy.env", "# a comment\nPYGMY_DB='/file db'\nexport PYGMY_THREADS=4\nPYGMY_LEASE_MS=\"700\" \n"
		"PYGMY_LEASE_MS=800\nXPYGMY_NAME=no\nPYGMY_NAMES=no\n\nPYGMY_LOG_LEVEL=debug", 0600, path);
	setenv("PYGMY_CONFIG", path, 1);
	setenv("PYGMY_THREADS", "5", 1);
	setenv("PYGMY_FRONTENDS", "unix:/a http://b:1", 1);
	assert_true(load());
	assert_string_equal(config.db_path, "/file db");
	assert_int_equal(config.threads, 5);
	assert_int_equal(config.lease_ms, 800);
	assert_int_equal(config.log_level, DIAGNOSTICS_DEBUG);
	assert_string_equal(config.name, "catalog-A");
	assert_string_equal(config.frontends, "unix:/a http://b:1");
}

static void refuses_nonsense(void **state)
{
	(void)state;
	static const struct { const char *name; const char *value; } BAD[] = { { "PYGMY_THREADS", "0" }, { "PYGMY_THREADS", "257" },
		{ "PYGMY_THREADS", "x" }, { "PYGMY_LEASE_MS", "-1" }, { "PYGMY_LOG_LEVEL", "loud" }, { "PYGMY_NAME", "a/b" },
		{ "PYGMY_NAME", "a-name-that-is-longer-than-the-limit" }, { "PYGMY_CONFIG", "/does/not/exist" } };
	setenv("PYGMY_STATE_DIR", "/s", 1);
	for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
		setenv(BAD[i].name, BAD[i].value, 1);
		assert_false(load());
		assert_true(strlen(why) > 0);
		unsetenv(BAD[i].name);
	}
	assert_true(load());
}

/* ---- a node of a cluster ------------------------------------------------------------------------------- */

static void without_etcd_there_is_no_cluster(void **state)
{
	(void)state;
	setenv("PYGMY_STATE_DIR", "/s", 1);
	setenv("PYGMY_NODE", "no name at all", 1);
	setenv("PYGMY_PEER_CA", "/not/looked/at", 1);
	setenv("PYGMY_ETCD", "  ", 1);
	assert_true(load());
	assert_string_equal(config.etcd, "");
	assert_string_equal(config.node, "");
}

static void a_node_knows_its_cluster(void **state)
{
	(void)state;
	char file[PATH_MAX];
	setenv("PYGMY_STATE_DIR", "/s", 1);
	setenv("PYGMY_ETCD", "http://127.0.1.1:2379 http://127.0.1.2:2379", 1);
	setenv("PYGMY_NODE", "A", 1);
	assert_true(load());
	assert_string_equal(config.etcd, "http://127.0.1.1:2379 http://127.0.1.2:2379");
	assert_string_equal(config.node, "A");
	assert_string_equal(config.node_url, "");
	/* Its URL follows from where its nginx listens. */
	setenv("PYGMY_LISTEN", "127.0.1.1", 1);
	setenv("PYGMY_PORT_CATALOG_A", "8011", 1);
	assert_true(load());
	assert_string_equal(config.node_url, "http://127.0.1.1:8011");
	temporary_folder_write(&folder, "pem", "", 0600, file);
	setenv("PYGMY_PEER_CA", file, 1);
	setenv("PYGMY_PEER_CERT", file, 1);
	setenv("PYGMY_PEER_KEY", file, 1);
	setenv("PYGMY_ETCD", "https://10.0.0.1:2379", 1);
	assert_true(load());
	assert_string_equal(config.node_url, "https://127.0.1.1:8011");
	assert_string_equal(config.peer_key, file);
	setenv("PYGMY_LISTEN", "0.0.0.0", 1);
	assert_true(load());
	assert_string_equal(config.node_url, "");
	setenv("PYGMY_NODE_URL", "https://a.example:8011", 1);
	assert_true(load());
	assert_string_equal(config.node_url, "https://a.example:8011");
}

static void a_node_refuses_nonsense(void **state)
{
	(void)state;
	static const struct { const char *name; const char *value; const char *what; } BAD[] = {
		{ "PYGMY_NODE", "", "PYGMY_NODE" }, { "PYGMY_NODE", "a b", "PYGMY_NODE" }, { "PYGMY_NODE", "a-name-of-17-char", "PYGMY_NODE" },
		{ "PYGMY_ETCD", "127.0.0.1:2379", "PYGMY_ETCD" }, { "PYGMY_ETCD", "http://a:1/path", "PYGMY_ETCD" },
		{ "PYGMY_ETCD", "https://a:1", "PYGMY_PEER_CA" },
		{ "PYGMY_ETCD", "http://a:1 http://a:2 http://a:3 http://a:4 http://a:5 http://a:6 http://a:7 http://a:8 http://a:9 http://a:10", "9" },
		{ "PYGMY_NODE_URL", "a:8011", "PYGMY_NODE_URL" }, { "PYGMY_PEER_CA", "/does/not/exist", "all of" },
		{ "PYGMY_STATE_DIR", "", "PYGMY_STATE_DIR" },
	};
	for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
		setenv("PYGMY_DB", "/s/store.db", 1);
		setenv("PYGMY_STATE_DIR", "/s", 1);
		setenv("PYGMY_ETCD", "http://127.0.1.1:2379", 1);
		setenv("PYGMY_NODE", "A", 1);
		assert_true(load());
		setenv(BAD[i].name, BAD[i].value, 1);
		assert_false(load());
		assert_non_null(strstr(why, BAD[i].what));
		unsetenv(BAD[i].name);
	}
	setenv("PYGMY_STATE_DIR", "/s", 1);
	setenv("PYGMY_PEER_CA", "/does/not/exist", 1);
	setenv("PYGMY_PEER_CERT", "/does/not/exist", 1);
	setenv("PYGMY_PEER_KEY", "/does/not/exist", 1);
	assert_false(load());
	assert_non_null(strstr(why, "can't be read"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(has_defaults_below_the_state), TEST(needs_a_place), TEST(environment_beats_file_beats_default), TEST(refuses_nonsense),
		TEST(without_etcd_there_is_no_cluster), TEST(a_node_knows_its_cluster), TEST(a_node_refuses_nonsense),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
