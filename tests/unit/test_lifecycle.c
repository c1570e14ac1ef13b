/* test_lifecycle: first starts, stops and crashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "db/diagnostics.h"
#include "fcgi/common/lifecycle.h"
#include "tests/unit/temporary_folder.h"

static struct temporary_folder folder;
static struct lifecycle lifecycle;
static char db_path[PATH_MAX];

static int make_folder(void **state)
{
	(void)state;
	temporary_folder_make(&folder);
	snprintf(db_path, sizeof db_path, "%s/store.db", folder.path);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	temporary_folder_remove(&folder);
	return 0;
}

static void tells_starts_apart(void **state)
{
	(void)state;
	lifecycle_begin(&lifecycle, db_path, "order-A");
	assert_int_equal(lifecycle.how, LIFECYCLE_FIRST_START);
	assert_int_equal(lifecycle.starts, 1);
	lifecycle_end(&lifecycle);
	lifecycle_begin(&lifecycle, db_path, "order-A");
	assert_int_equal(lifecycle.how, LIFECYCLE_AFTER_STOP);
	assert_int_equal(lifecycle.crashes, 0);
	lifecycle_begin(&lifecycle, db_path, "order-A");
	assert_int_equal(lifecycle.how, LIFECYCLE_AFTER_CRASH);
	assert_int_equal(lifecycle.crashes, 1);
	assert_int_equal(lifecycle.starts, 3);
	lifecycle_end(&lifecycle);
	lifecycle_begin(&lifecycle, db_path, "order-A");
	assert_int_equal(lifecycle.how, LIFECYCLE_AFTER_STOP);
	assert_int_equal(lifecycle.crashes, 1);
	/* Another worker of the same store has a life of its own. */
	lifecycle_begin(&lifecycle, db_path, "order-B");
	assert_int_equal(lifecycle.how, LIFECYCLE_FIRST_START);
}

static void survives_a_damaged_marker(void **state)
{
	(void)state;
	static const char *const DAMAGED[] = { "", "pygmy-lifecycle 1 run", "pygmy-lifecycle 9 running 1 1 1\n", "\xff\xfe\n" };
	for (size_t i = 0; i < sizeof DAMAGED / sizeof DAMAGED[0]; i++) {
		char path[PATH_MAX];
		temporary_folder_write(&folder, "order-A.lifecycle", DAMAGED[i], 0600, path);
		lifecycle_begin(&lifecycle, db_path, "order-A");
		assert_int_equal(lifecycle.how, LIFECYCLE_FIRST_START);
		assert_int_equal(lifecycle.starts, 1);
		assert_int_equal(lifecycle.crashes, 0);
	}
}

static void goes_on_where_it_can_not_write(void **state)
{
	(void)state;
	lifecycle_begin(&lifecycle, "/does/not/exist/store.db", "order-A");
	assert_int_equal(lifecycle.how, LIFECYCLE_FIRST_START);
	lifecycle_end(&lifecycle);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(tells_starts_apart), TEST(survives_a_damaged_marker), TEST(goes_on_where_it_can_not_write) };
	diagnostics_init("test", (enum diagnostics_level)(DIAGNOSTICS_ERROR + 1));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
