/* item: the entity tag is the same for the same content, and for nothing else. */
#include "tests/unit/support.h"

#include "db/item.h"

static void assert_other_tag(const struct item *item, const char *etag)
{
	char other[ETAG_HEX_LEN + 1];
	item_etag(item, other);
	assert_int_equal(strlen(other), ETAG_HEX_LEN);
	assert_int_equal(strspn(other, "0123456789abcdef"), ETAG_HEX_LEN);
	assert_string_not_equal(other, etag);
}

static void test_every_field_counts(void **state)
{
	(void)state;
	char etag[ETAG_HEX_LEN + 1], again[ETAG_HEX_LEN + 1];
	const struct item item = item_of(1, "Title", "topic", 1000, 5);
	struct item changed;
	item_etag(&item, etag);
	item_etag(&item, again);
	assert_string_equal(etag, again);
	changed = item, changed.id = 2;
	assert_other_tag(&changed, etag);
	changed = item, changed.title = SLICE_LITERAL("Titlf");
	assert_other_tag(&changed, etag);
	changed = item, changed.topic = SLICE_LITERAL("topid");
	assert_other_tag(&changed, etag);
	changed = item, changed.cost_minor = 1001;
	assert_other_tag(&changed, etag);
	changed = item, changed.count = 4;
	assert_other_tag(&changed, etag);
}

/* The same bytes with the border elsewhere. */
static void test_fields_do_not_run_together(void **state)
{
	(void)state;
	char etag[ETAG_HEX_LEN + 1];
	struct item item = item_of(1, "ab", "c", 1, 1);
	item_etag(&item, etag);
	item = item_of(1, "a", "bc", 1, 1);
	assert_other_tag(&item, etag);
}

/* Clients hold tags across restarts and upgrades, and replicas compare them. */
static void test_tags_stay(void **state)
{
	(void)state;
	char etag[ETAG_HEX_LEN + 1];
	bytes_etag(SLICE_EMPTY, etag);
	assert_string_equal(etag, "cae66941d9efbd404e4d88758ea67670");
	bytes_etag(SLICE_LITERAL("abc"), etag);
	assert_string_equal(etag, "cf4ab791c62b8d2b2109c90275287816");
	/* id 1, "T", "t", cost 10.00, count 5: 02 01 54 01 74 d0 0f 0a */
	struct item item = item_of(1, "T", "t", 1000, 5);
	char same[ETAG_HEX_LEN + 1];
	item_etag(&item, etag);
	bytes_etag(SLICE_LITERAL("\x02\x01T\x01t\xd0\x0f\x0a"), same);
	assert_string_equal(etag, same);
}

static void test_the_largest_item(void **state)
{
	(void)state;
	char title[TITLE_MAX_BYTES], topic[TOPIC_MAX_BYTES], etag[ETAG_HEX_LEN + 1];
	memset(title, 'x', sizeof title);
	memset(topic, 'y', sizeof topic);
	struct item item = { ID_MAX, { title, sizeof title }, { topic, sizeof topic }, COST_MAX_MINOR, COUNT_MAX };
	item_etag(&item, etag);
	item.count--;         /* the last field is still in the hash */
	assert_other_tag(&item, etag);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_field_counts),
		cmocka_unit_test(test_fields_do_not_run_together),
		cmocka_unit_test(test_tags_stay),
		cmocka_unit_test(test_the_largest_item),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
