/* pauser: stops and continues processes at random moments. Whatever ends this program, they go on. */
#include <signal.h>
#include <unistd.h>

#include "tests/tools/coherence/check.h"

#define STOPPED_MAX_MS 120
#define BETWEEN_MAX_MS 60

static void continue_all(void)
{
	for (int i = 0; i < check.pause_count; i++)
		kill(check.pause_pids[i], SIGCONT);
}

static void end(int signal_number)
{
	continue_all();
	_exit(128 + signal_number);
}

void *pauser_run(void *context)
{
	struct tool_chance chance = { check_seed_of_thread() };
	(void)context;
	signal(SIGTERM, end);
	signal(SIGINT, end);
	while (!check_is_over() && check.pause_count > 0) {
		int pid = check.pause_pids[tool_random_below(&chance, check.pause_count)];
		if (kill(pid, SIGSTOP) != 0)
			tool_fail("cannot stop process %d", pid);
		tool_sleep_ms(tool_random_below(&chance, STOPPED_MAX_MS) + 1);
		kill(pid, SIGCONT);
		check_add(pauses, 1);
		tool_sleep_ms(tool_random_below(&chance, BETWEEN_MAX_MS) + 1);
	}
	continue_all();
	return NULL;
}
