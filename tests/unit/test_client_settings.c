/* settings, base_url, small_file and token_file: which source counts, and what is said when one is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/pygmy/args.h"
#include "client/pygmy/base_url.h"
#include "client/pygmy/settings.h"
#include "client/pygmy/token_file.h"

static char folder[64];
static char path[160];
static char error[SETTINGS_ERROR_MAX_BYTES];
static struct settings settings;

static const char *const names[] = { "PYGMY_CONFIG", "PYGMY_URL", "PYGMY_CATALOG_URL", "PYGMY_ORDER_URL", "PYGMY_LISTEN", "PYGMY_PORT_FRONTEND",
				     "PYGMY_PORT_CATALOG_A", "PYGMY_PORT_CATALOG_B", "PYGMY_PORT_ORDER_A", "PYGMY_PORT_ORDER_B",
				     "PYGMY_SECRETS_DIR", "PYGMY_STATE_DIR" };

static int begin(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unsetenv(names[i]);
	(void)snprintf(folder, sizeof(folder), "/tmp/pygmy-test-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/file", folder);
	return 0;
}

static int end(void **state)
{
	char nested[128];
	(void)state;
	(void)unlink(path);
	(void)snprintf(nested, sizeof(nested), "%s/etc/pygmy.env", folder);
	(void)unlink(nested);
	(void)snprintf(nested, sizeof(nested), "%s/etc", folder);
	(void)rmdir(nested);
	(void)snprintf(nested, sizeof(nested), "%s/bin", folder);
	(void)rmdir(nested);
	return rmdir(folder);
}

static void write_file(const char *where, const char *text, mode_t mode)
{
	FILE *file = fopen(where, "we");
	assert_non_null(file);
	assert_int_equal(fputs(text, file) >= 0, 1);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(where, mode), 0);
}

static bool load(const struct settings_overrides *overrides, const char *executable_dir)
{
	static const struct settings_overrides none = { .timeout_s = ARGS_NOT_GIVEN };
	return settings_load(overrides == NULL ? &none : overrides, executable_dir, &settings, error);
}

static void a_file_sets_what_the_environment_does_not(void **state)
{
	(void)state;
	write_file(path, "PYGMY_PORT_FRONTEND=9000\nPYGMY_PORT_ORDER_B='9004'\nPYGMY_LISTEN=0.0.0.0\nPYGMY_STATE_DIR=\"/s t\"\nPATH=$PATH:/x\n", 0600);
	(void)setenv("PYGMY_CONFIG", path, 1);
	assert_true(load(NULL, NULL));
	assert_string_equal(settings.file, path);
	assert_string_equal(settings.frontend.url[0], "http://127.0.0.1:9000");
	assert_int_equal(settings.catalog.count, 2);
	assert_string_equal(settings.catalog.url[1], "http://127.0.0.1:8012");
	assert_string_equal(settings.order.url[1], "http://127.0.0.1:9004");
	assert_string_equal(settings.token_file, "/s t/secrets/admin.token");
	(void)setenv("PYGMY_PORT_FRONTEND", "9999", 1);
	(void)setenv("PYGMY_PORT_ORDER_B", "", 1);
	(void)setenv("PYGMY_SECRETS_DIR", "/d", 1);
	assert_true(load(NULL, NULL));
	assert_string_equal(settings.frontend.url[0], "http://127.0.0.1:9999");
	assert_string_equal(settings.order.url[1], "http://127.0.0.1:9004");
	assert_string_equal(settings.token_file, "/d/admin.token");
}

static void the_command_line_comes_first(void **state)
{
	const struct settings_overrides overrides = { .url = "https://shop.example:8443/p/", .catalog_url = "http://a:1,http://b:2",
						      .token_file = "t", .timeout_s = 3 };
	(void)state;
	(void)setenv("PYGMY_CATALOG_URL", "http://c:3", 1);
	(void)setenv("PYGMY_ORDER_URL", "http://d:4", 1);
	assert_true(load(&overrides, NULL));
	assert_string_equal(settings.frontend.url[0], "https://shop.example:8443/p");
	assert_int_equal(settings.catalog.count, 2);
	assert_string_equal(settings.catalog.url[1], "http://b:2");
	assert_int_equal(settings.order.count, 1);
	assert_string_equal(settings.order.url[0], "http://d:4");
	assert_string_equal(settings.token_file, "t");
	assert_int_equal(settings.timeout_ms, 3000);
}

static void the_file_beside_the_program_is_found(void **state)
{
	char nested[128];
	(void)state;
	(void)snprintf(nested, sizeof(nested), "%s/etc", folder);
	assert_int_equal(mkdir(nested, 0700), 0);
	(void)snprintf(nested, sizeof(nested), "%s/etc/pygmy.env", folder);
	write_file(nested, "PYGMY_PORT_FRONTEND=9001\n", 0600);
	(void)snprintf(nested, sizeof(nested), "%s/bin", folder);
	assert_int_equal(mkdir(nested, 0700), 0);
	assert_true(load(NULL, nested));
	assert_string_equal(settings.frontend.url[0], "http://127.0.0.1:9001");
}

static void check_wrong(const char *text, const char *part)
{
	write_file(path, text, 0600);
	(void)setenv("PYGMY_CONFIG", path, 1);
	assert_false(load(NULL, NULL));
	if (strstr(error, part) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", part, error);
}

static void what_is_wrong_is_told(void **state)
{
	(void)state;
	check_wrong("PYGMY_PORT_FRONTEND=x\n", "PYGMY_PORT_FRONTEND is \"x\"");
	check_wrong("PYGMY_PORT_FRONTEND=65536\n", "from 1 to 65535");
	check_wrong("\nPYGMY_STATE_DIR=$HOME\n", "line 2 has a character");
	check_wrong("nonsense\n", "line 1 is not KEY=value");
	check_wrong("PYGMY_URL=ftp://x\n", "is not a URL");
	check_wrong("PYGMY_LISTEN='a b'\n", "PYGMY_LISTEN");
	(void)setenv("PYGMY_CONFIG", "/nonexistent/file", 1);
	assert_false(load(NULL, NULL));
	assert_non_null(strstr(error, "can't read the settings file /nonexistent/file: No such file"));
}

static void check_url(const char *text, const char *normal)
{
	char out[64];
	bool good = base_url_normalise(text, strlen(text), out, sizeof(out));
	assert_int_equal(good, normal != NULL);
	if (good)
		assert_string_equal(out, normal);
}

static void urls_are_checked(void **state)
{
	char out[64];
	(void)state;
	check_url("http://127.0.0.1:8010", "http://127.0.0.1:8010");
	check_url("https://h/path//", "https://h/path");
	check_url("http://[::1]:80", "http://[::1]:80");
	check_url("", NULL);
	check_url("127.0.0.1:8010", NULL);
	check_url("file:///etc/passwd", NULL);
	check_url("http://user:pw@h", NULL);
	check_url("http://h?a=b", NULL);
	check_url("http://h#a", NULL);
	check_url("http://h h", NULL);
	check_url("http://h\n", NULL);
	check_url("http://h:99999", NULL);
	check_url("http://a-host-name-that-is-a-little-longer-than-what-fits-into-the-buffer/", NULL);
	assert_true(base_url_for_listen("::", 1, out, sizeof(out)));
	assert_string_equal(out, "http://[::1]:1");
	assert_true(base_url_for_listen("fe80::1", 1, out, sizeof(out)));
	assert_string_equal(out, "http://[fe80::1]:1");
	assert_false(base_url_for_listen("a/b", 1, out, sizeof(out)));
	assert_true(base_url_is_loopback("http://127.0.0.53:1"));
	assert_true(base_url_is_loopback("http://localhost/x"));
	assert_true(base_url_is_loopback("https://[::1]"));
	assert_false(base_url_is_loopback("http://127.0.0.1.example.com"));
	assert_false(base_url_is_loopback("http://localhost.example"));
	assert_false(base_url_is_loopback("http://10.0.0.1"));
}

static void tokens_are_read(void **state)
{
	struct token token;
	char sentence[TOKEN_ERROR_MAX_BYTES];
	(void)state;
	write_file(path, "abcDEF019-._~+/=\n", 0600);
	assert_true(token_read(path, &token, sentence));
	assert_string_equal(token.value, "abcDEF019-._~+/=");
	assert_false(token.readable_by_others);
	token_forget(&token);
	assert_int_equal(token.value[0], 0);
	write_file(path, "abc", 0644);
	assert_true(token_read(path, &token, sentence));
	assert_true(token.readable_by_others);
}

static void bad_tokens_are_told(void **state)
{
	static const char *const bad[] = { "", "\n", "a b\n", "a\nb\n", "a\r\nX: y\n", "\xC3\xA4\n" };
	struct token token;
	char sentence[TOKEN_ERROR_MAX_BYTES];
	char long_token[TOKEN_MAX_BYTES + 100];
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		write_file(path, bad[i], 0600);
		assert_false(token_read(path, &token, sentence));
		assert_non_null(strstr(sentence, path));
		assert_int_equal(token.value[0], 0);
	}
	memset(long_token, 'a', sizeof(long_token) - 1);
	long_token[sizeof(long_token) - 1] = '\0';
	write_file(path, long_token, 0600);
	assert_false(token_read(path, &token, sentence));
	assert_false(token_read("/nonexistent/admin.token", &token, sentence));
	assert_non_null(strstr(sentence, "/nonexistent/admin.token: No such file or directory. The store makes it"));
	assert_false(token_read(folder, &token, sentence));
	assert_non_null(strstr(sentence, "Is a directory"));
	assert_false(token_read("", &token, sentence));
	assert_non_null(strstr(sentence, "--token-file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_file_sets_what_the_environment_does_not, begin, end),
		cmocka_unit_test_setup_teardown(the_command_line_comes_first, begin, end),
		cmocka_unit_test_setup_teardown(the_file_beside_the_program_is_found, begin, end),
		cmocka_unit_test_setup_teardown(what_is_wrong_is_told, begin, end),
		cmocka_unit_test(urls_are_checked),
		cmocka_unit_test_setup_teardown(tokens_are_read, begin, end),
		cmocka_unit_test_setup_teardown(bad_tokens_are_told, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
