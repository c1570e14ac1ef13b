/* test_auth: token files and bearer headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "db/diagnostics.h"
#include "fcgi/common/auth.h"
#include "tests/unit/temporary_folder.h"

#define TOKEN "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER "10112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static struct temporary_folder folder;
static struct auth auth;

static int make_folder(void **state)
{
	(void)state;
	temporary_folder_make(&folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	temporary_folder_remove(&folder);
	return 0;
}

static bool load_admin(const char *text, mode_t mode)
{
	char path[PATH_MAX];
	temporary_folder_write(&folder, "admin.token", text, mode, path);
	auth_load(&auth, folder.path);
	return auth.has_admin;
}

static void takes_private_files_only(void **state)
{
	(void)state;
	assert_true(load_admin(TOKEN "\n", 0600));
	assert_true(load_admin(TOKEN, 0400));
	assert_false(load_admin(TOKEN "\n", 0640));
	assert_false(load_admin(TOKEN "\n", 0604));
	assert_false(load_admin(TOKEN "\n", 0620));
	assert_false(auth.has_peer);
}

static void takes_whole_tokens_only(void **state)
{
	(void)state;
	static const char *const BAD[] = { "", "\n", "abc\n", TOKEN "0\n", TOKEN "\n\n", TOKEN "x", (" " TOKEN),
		"00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff\n" };
	for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
		assert_false(load_admin(BAD[i], 0600));
		assert_false(auth_allows(&auth, AUTH_ADMIN, SLICE_LITERAL("Bearer " TOKEN)));
	}
}

static void does_not_follow_links(void **state)
{
	(void)state;
	char path[PATH_MAX], link[PATH_MAX];
	temporary_folder_write(&folder, "elsewhere", TOKEN "\n", 0600, path);
	snprintf(link, sizeof link, "%s/peer.token", folder.path);
	assert_int_equal(symlink(path, link), 0);
	auth_load(&auth, folder.path);
	assert_false(auth.has_peer);
}

static void compares_the_header(void **state)
{
	(void)state;
	assert_true(load_admin(TOKEN "\n", 0600));
	assert_true(auth_allows(&auth, AUTH_ADMIN, SLICE_LITERAL("Bearer " TOKEN)));
	assert_true(auth_allows(&auth, AUTH_ADMIN, SLICE_LITERAL("bearer " TOKEN)));
	assert_false(auth_allows(&auth, AUTH_ADMIN, SLICE_LITERAL("Bearer " OTHER)));
	assert_false(auth_allows(&auth, AUTH_ADMIN, SLICE_LITERAL("Bearer  " TOKEN)));
	assert_false(auth_allows(&auth, AUTH_ADMIN, SLICE_LITERAL("Basic  " TOKEN)));
	assert_false(auth_allows(&auth, AUTH_ADMIN, SLICE_LITERAL(TOKEN)));
	assert_false(auth_allows(&auth, AUTH_ADMIN, SLICE_LITERAL("Bearer " TOKEN " ")));
	assert_false(auth_allows(&auth, AUTH_ADMIN, SLICE_EMPTY));
	assert_false(auth_allows(&auth, AUTH_PEER, SLICE_LITERAL("Bearer " TOKEN)));
	assert_true(auth_allows(&auth, AUTH_NONE, SLICE_EMPTY));
}

static void takes_either_of_two(void **state)
{
	(void)state;
	char path[PATH_MAX];
	temporary_folder_write(&folder, "peer.token", OTHER "\n", 0600, path);
	assert_true(load_admin(TOKEN "\n", 0600));
	assert_true(auth_allows(&auth, AUTH_ADMIN_OR_PEER, SLICE_LITERAL("Bearer " TOKEN)));
	assert_true(auth_allows(&auth, AUTH_ADMIN_OR_PEER, SLICE_LITERAL("Bearer " OTHER)));
	assert_false(auth_allows(&auth, AUTH_ADMIN_OR_PEER, SLICE_EMPTY));
	assert_false(auth_allows(&auth, AUTH_ADMIN, SLICE_LITERAL("Bearer " OTHER)));
	assert_false(auth_allows(&auth, AUTH_PEER, SLICE_LITERAL("Bearer " TOKEN)));
	assert_true(auth_allows(&auth, AUTH_PEER, SLICE_LITERAL("Bearer " OTHER)));
	/* Without its file a token matches nothing, not even zeros. */
	memset(&auth, 0, sizeof auth);
	char zeros[7 + TOKEN_HEX_LEN + 1] = "Bearer ";
	assert_false(auth_allows(&auth, AUTH_ADMIN_OR_PEER, (struct slice){ zeros, 7 + TOKEN_HEX_LEN }));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(takes_private_files_only), TEST(takes_whole_tokens_only), TEST(does_not_follow_links), TEST(compares_the_header),
		TEST(takes_either_of_two),
	};
	diagnostics_init("test", (enum diagnostics_level)(DIAGNOSTICS_ERROR + 1));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
