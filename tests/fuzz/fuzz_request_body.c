/*
 * fuzz_request_body: JSON bodies against a table with a field of every type. What is taken keeps the table's limits.
 */
#include <stdint.h>
#include <stdlib.h>

#include "db/limits.h"
#include "db/query_string.h"
#include "fcgi/common/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COST, COUNT, FLAG, ITEMS, TITLE, FIELDS };

static const struct body_field fields[FIELDS] = {
	[COST] = { .name = "cost", .type = BODY_MONEY },
	[COUNT] = { .name = "count", .type = BODY_INT, .min = -COUNT_MAX, .max = COUNT_MAX },
	[FLAG] = { .name = "flag", .type = BODY_BOOL },
	[ITEMS] = { .name = "items", .type = BODY_LIST },
	[TITLE] = { .name = "title", .type = BODY_TEXT, .required = true, .max = TITLE_MAX_BYTES },
};

static void check_refusal(const struct refusal *refusal)
{
	if (!error_is_known((int)refusal->error) || refusal->error == PYGMY_OK || !utf8_is_valid(slice_of(refusal->text)))
		abort();
}

static void check_values(const struct body_value *values)
{
	if (!values[TITLE].present || values[TITLE].text.len < 1 || values[TITLE].text.len > TITLE_MAX_BYTES)
		abort();
	if (!utf8_is_valid(values[TITLE].text) || memchr(values[TITLE].text.ptr, '\0', values[TITLE].text.len) != NULL)
		abort();
	if (values[COST].present && (values[COST].number < 0 || values[COST].number > COST_MAX_MINOR))
		abort();
	if (values[COUNT].present && (values[COUNT].number < -COUNT_MAX || values[COUNT].number > COUNT_MAX))
		abort();
	if (values[ITEMS].present && !json_is_array(values[ITEMS].list))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct body_value values[FIELDS];
	struct refusal refusal;
	json_t *root = body_parse((struct slice){ (const char *)data, size }, &refusal);
	if (root == NULL) {
		check_refusal(&refusal);
		return 0;
	}
	if (body_read(root, "", fields, FIELDS, values, &refusal))
		check_values(values);
	else
		check_refusal(&refusal);
	json_decref(root);
	return 0;
}
