/*
 * sim: runs schedules, many or one; see sim.h.
 *
 *	simulation                   SIM_SCHEDULES (3000) schedules from SIM_FIRST_SEED (the time) on, then the rules taken out one by one; prints TAP
 *	SIM_SEED=n [SIM_MUTANT=m]    this schedule alone, with everything that happens in it
 */
#include "tests/simulation/sim.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "db/diagnostics.h"
#include "tests/simulation/memory_vfs.h"

#define MUTANT_SCHEDULES 400          /* within these each mutant must be found */

static const char *const mutant_names[MUTANT_COUNT] = {
	"none", "a retry gets a new key", "gaps are not closed", "values are applied again", "puts count as done before they are answered",
	"the log is compacted up to its end", "what is applied counts as durable", "replicas that differ go on", "the log's identity is not looked at",
};

static void report(struct sim *sim, uint64_t seed, enum mutant mutant)
{
	printf("# violated by the schedule SIM_SEED=%" PRIu64 ": %s\n", seed, sim->violation);
	if (mutant == MUTANT_NONE)    /* once more, with everything that happens */
		sim_run_schedule(sim, seed, mutant, true);
}

static bool test_schedules(struct sim *sim, uint64_t first_seed, int schedules, int *persons)
{
	for (int i = 0; i < schedules; i++) {
		bool held = sim_run_schedule(sim, first_seed + (uint64_t)i, MUTANT_NONE, false);
		*persons += sim->persons > 0 ? 1 : 0;
		if (held)
			continue;
		report(sim, first_seed + (uint64_t)i, MUTANT_NONE);
		return false;
	}
	return true;
}

/* How many schedules it took to find out that a rule is missing; 0: it was not found. */
static int test_mutant(struct sim *sim, uint64_t first_seed, enum mutant mutant)
{
	for (int i = 0; i < MUTANT_SCHEDULES; i++) {
		if (sim_run_schedule(sim, first_seed + (uint64_t)i, mutant, false))
			continue;
		report(sim, first_seed + (uint64_t)i, mutant);
		return i + 1;
	}
	return 0;
}

static uint64_t number_from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static int run_all(struct sim *sim)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t seed = number_from_environment("SIM_FIRST_SEED", (uint64_t)now.tv_sec * 1000003 + (uint64_t)now.tv_nsec);
	int schedules = (int)number_from_environment("SIM_SCHEDULES", 3000), failed = 0;
	printf("1..%d\n", MUTANT_COUNT);
	printf("# SIM_FIRST_SEED=%" PRIu64 "\n", seed);
	int persons = 0;
	bool held = test_schedules(sim, seed, schedules, &persons);
	printf("# in %d schedules a person had to decide\n", persons);
	printf("%s 1 - %d schedules\n", held ? "ok" : "not ok", schedules);
	failed += held ? 0 : 1;
	for (int mutant = 1; mutant < MUTANT_COUNT; mutant++) {
		int found = test_mutant(sim, seed, (enum mutant)mutant);
		printf("%s %d - found within %d schedules: %s\n", found > 0 ? "ok" : "not ok", mutant + 1, found > 0 ? found : MUTANT_SCHEDULES,
		       mutant_names[mutant]);
			failed += found > 0 ? 0 : 1;
	}
	return failed;
}

static int run_one(struct sim *sim, uint64_t seed, enum mutant mutant)
{
	if (mutant >= MUTANT_COUNT) {
		printf("Bail out! There are the mutants 0 to %d.\n", MUTANT_COUNT - 1);
		return 1;
	}
	bool held = sim_run_schedule(sim, seed, mutant, true);
	printf("1..1\n%s 1 - the schedule %" PRIu64 ", taken out: %s\n", held ? "ok" : "not ok", seed, mutant_names[mutant]);
	return held ? 0 : 1;
}

int main(void)
{
	static struct sim sim;
	diagnostics_init("simulation", DIAGNOSTICS_ERROR + 1);
	setvbuf(stdout, NULL, _IOLBF, 0);
	sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	arena_init(&sim.arena, (size_t)64 * 1024 * 1024);
	if (sodium_init() < 0 || !memory_vfs_register() || !sim_make_templates(&sim) || !judge_open()) {
		printf("Bail out! The simulation can't begin.\n");
		return 1;
	}
	const char *seed = getenv("SIM_SEED");
	int failed = 0;
	if (seed == NULL)
		failed = run_all(&sim);
	else
		failed = run_one(&sim, strtoull(seed, NULL, 10), (enum mutant)number_from_environment("SIM_MUTANT", MUTANT_NONE));
	judge_close();
	memory_files_clear();
	arena_close(&sim.arena);
	return failed == 0 ? 0 : 1;
}
