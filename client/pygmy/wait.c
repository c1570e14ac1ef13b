/*
 * wait: a flag, a clock and a bounded pause.
 */
#include "client/pygmy/wait.h"

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#define WAIT_STEP_MS 100          /* another thread may be the one that got the signal */
#define INTERRUPT_AGAIN_MS 300    /* a second signal sooner than this is the same wish: timeout(1) sends two */
#define EXIT_BY_SIGNAL 130

static volatile sig_atomic_t interrupted;
static volatile int64_t interrupted_ms;   /* only the handler touches it, and both signals are blocked in it */

static void on_signal(int signal_number)
{
	(void)signal_number;
	int64_t now_ms = wait_now_ms();
	if (interrupted == 0)
		interrupted_ms = now_ms;
	else if (now_ms - interrupted_ms >= INTERRUPT_AGAIN_MS)
		_exit(EXIT_BY_SIGNAL);
	interrupted = 1;
}

void wait_init(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	(void)sigemptyset(&action.sa_mask);
	(void)sigaddset(&action.sa_mask, SIGINT);
	(void)sigaddset(&action.sa_mask, SIGTERM);
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	(void)sigemptyset(&ignore.sa_mask);
	(void)sigaction(SIGPIPE, &ignore, NULL);
}

bool wait_is_interrupted(void)
{
	return interrupted != 0;
}

int64_t wait_now_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void wait_for_ms(int64_t delay_ms)
{
	int64_t until = wait_now_ms() + delay_ms;
	for (int64_t left = delay_ms; left > 0 && !wait_is_interrupted(); left = until - wait_now_ms())
		(void)poll(NULL, 0, (int)(left < WAIT_STEP_MS ? left : WAIT_STEP_MS));
}
