/* control: see control.h. */
#include "tests/tools/common/control.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static const char *file_path;
static struct stat file_seen;
static const struct control_field *fields;
static size_t field_count, values_size;
static _Alignas(double) unsigned char values[CONTROL_SIZE_MAX];

static void set_normal(void)
{
	memset(values, 0, values_size);
	for (size_t i = 0; i < field_count; i++)
		if (!fields[i].is_chance)
			memcpy(values + fields[i].offset, &fields[i].normal, sizeof fields[i].normal);
}

void control_open(const char *path, const struct control_field *of, size_t count, size_t size)
{
	if (size > CONTROL_SIZE_MAX)
		tool_fail("control: too many values");
	file_path = path;
	fields = of;
	field_count = count;
	values_size = size;
	set_normal();
}

static bool set(const char *name, const char *text)
{
	char *end;
	double value = strtod(text, &end);
	int64_t number = (int64_t)value;
	for (size_t i = 0; i < field_count; i++) {
		if (strcmp(fields[i].name, name) != 0)
			continue;
		if (end == text || value < 0 || (fields[i].is_chance && value > 1))
			return false;
		memcpy(values + fields[i].offset, fields[i].is_chance ? (void *)&value : (void *)&number, sizeof value);
		return true;
	}
	return false;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void load(void)
{
	struct stat now = { 0 };
	bool is_there = file_path != NULL && stat(file_path, &now) == 0;
	if (is_same(&now, &file_seen))
		return;
	file_seen = now;
	set_normal();
	FILE *file = is_there ? fopen(file_path, "re") : NULL;
	char name[64], text[64];
	while (file != NULL && fscanf(file, "%63s %63s", name, text) == 2)
		if (!set(name, text))
			fprintf(stderr, "proxy: the control file makes no sense: %s %s\n", name, text);
	if (file != NULL)
		fclose(file);
}

void control_read(void *out)
{
	pthread_mutex_lock(&mutex);
	load();
	memcpy(out, values, values_size);
	pthread_mutex_unlock(&mutex);
}

bool control_strikes(struct tool_chance *chance, double probability)
{
	return probability > 0 && (double)tool_random_below(chance, 1000000) < probability * 1000000;
}
