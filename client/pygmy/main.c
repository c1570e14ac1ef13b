/*
 * pygmy: the command line client. Finds the command and gives it the rest of the line; the exit status is its outcome.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/pygmy/commands.h"
#include "client/pygmy/help.h"
#include "client/pygmy/safe_text.h"
#include "client/pygmy/wait.h"
#include "db/version.h"

static enum outcome run(struct client *client, int argc, char **argv)
{
	struct args args;
	if (!client_parse_globals(client, argc, argv, &args))
		return client_fail(client, OUTCOME_USAGE, "usage", "%s (see pygmy help)", args.error);
	if (client->version) {
		(void)printf("pygmy %s\n", PYGMY_VERSION);
		return OUTCOME_DONE;
	}
	if (args.consumed == argc) {
		help_show_all(client->help ? stdout : stderr);
		return client->help ? OUTCOME_DONE : OUTCOME_USAGE;
	}
	client->command = command_find(argv[args.consumed]);
	if (client->command == NULL)
		return client_fail(client, OUTCOME_USAGE, "usage", "there is no command \"%s\"; pygmy help lists them", argv[args.consumed]);
	return client->command->run(client, argc - args.consumed - 1, argv + args.consumed + 1);
}

/* Whether nobody reads standard output any more, as in `pygmy orders --all | head`: no reason to complain. */
static bool is_reader_gone(void)
{
	struct pollfd output = { .fd = STDOUT_FILENO, .events = POLLOUT };
	return poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0;
}

int main(int argc, char **argv)
{
	struct client client;
	safe_text_init();
	wait_init();
	client_init(&client);
	if (!http_init()) {
		(void)fputs("pygmy: libcurl can't be initialised\n", stderr);
		return OUTCOME_LOCAL;
	}
	enum outcome outcome = run(&client, argc > 0 ? argc - 1 : 0, argv + 1);
	client_close(&client);
	errno = 0;
	if ((fflush(stdout) != 0 || ferror(stdout) != 0) && outcome == OUTCOME_DONE) {
		if (!is_reader_gone())
			(void)fprintf(stderr, "pygmy: standard output: %s\n", errno != 0 ? strerror(errno) : "write error");
		outcome = OUTCOME_LOCAL;
	}
	return (int)outcome;
}
