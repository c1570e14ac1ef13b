/* control: the control file, its probabilities, and the counts; see proxy.h. */
#include "tests/tools/etcd_proxy/proxy.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct proxy_counts proxy_counts;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static const char *file_path;
static struct stat file_seen;
static struct proxy_faults faults;

static struct proxy_faults no_faults(void)
{
	struct proxy_faults none = { 0 };
#define X(name, value) none.name = (value);
	PROXY_NUMBERS(X)
#undef X
	return none;
}

void control_init(const char *path)
{
	file_path = path;
	faults = no_faults();
}

static void set(struct proxy_faults *out, const char *name, const char *value)
{
	char *end;
	double number = strtod(value, &end);
	bool is_known = false;
#define X(known) \
	if (strcmp(name, #known) == 0) { \
		out->known = number; \
		is_known = number <= 1; \
	}
	PROXY_CHANCES(X)
#undef X
#define X(known, normal) \
	if (strcmp(name, #known) == 0) { \
		out->known = (int64_t)number; \
		is_known = true; \
	}
	PROXY_NUMBERS(X)
#undef X
	if (!is_known || end == value || number < 0)
		fprintf(stderr, "etcd_proxy: the control file makes no sense: %s %s\n", name, value);
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
	faults = no_faults();
	FILE *file = is_there ? fopen(file_path, "re") : NULL;
	char name[64], value[64];
	while (file != NULL && fscanf(file, "%63s %63s", name, value) == 2)
		set(&faults, name, value);
	if (file != NULL)
		fclose(file);
}

struct proxy_faults control_read(void)
{
	pthread_mutex_lock(&mutex);
	load();
	struct proxy_faults copy = faults;
	pthread_mutex_unlock(&mutex);
	return copy;
}

bool control_strikes(struct tool_chance *chance, double probability)
{
	return probability > 0 && (double)tool_random_below(chance, 1000000) < probability * 1000000;
}

void proxy_print_counts(void)
{
#define X(name) printf("%s %lld\n", #name, atomic_load(&proxy_counts.name));
	PROXY_COUNTS(X)
#undef X
	fflush(stdout);
}
