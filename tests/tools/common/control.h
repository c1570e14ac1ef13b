/*
 * control: a file that says what a proxy shall spoil: a name and a value per line. It is looked at again before every decision, so write it
 * beside and rename it: half a file is a file too. A missing file means the normal values. One per program; any thread.
 */
#ifndef PYGMY_TESTS_CONTROL_H
#define PYGMY_TESTS_CONTROL_H

#include "tests/tools/common/tool.h"

/* A field of the program's own struct: a probability (double, 0 to 1), or a whole number (int64_t). */
struct control_field {
	const char *name;
	bool is_chance;
	size_t offset;
	int64_t normal;               /* of a number; a probability's is 0 */
};

#define CONTROL_SIZE_MAX 512

/* path NULL: there is none. fields and path must stay; size is the struct's. */
void control_open(const char *path, const struct control_field *fields, size_t count, size_t size);

/* Copies the values of now to the program's struct. */
void control_read(void *out);

bool control_strikes(struct tool_chance *chance, double probability);

#endif
