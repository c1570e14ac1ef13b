/*
 * client: what a command has in hand while it runs: options, settings, connection, token, the ways to say something.
 *
 * A command is `begin` (options, help, settings), one or more `ask`, and what it prints. People read standard output and, for
 * everything that went wrong, standard error; with --json standard output has one JSON value instead, also for failures.
 */
#ifndef PYGMY_CLIENT_CLIENT_H
#define PYGMY_CLIENT_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "client/pygmy/args.h"
#include "client/pygmy/http.h"
#include "client/pygmy/outcome.h"
#include "client/pygmy/retry.h"
#include "client/pygmy/settings.h"
#include "client/pygmy/table.h"
#include "client/pygmy/token_file.h"

#define CLIENT_TIMEOUT_MS 10000           /* of a request with its retries, when --timeout is not given */
#define CLIENT_ATTEMPT_MS 6000            /* longer than the store's own deadline, so that its answer is the one we get */
#define CLIENT_READ_ROUNDS 3              /* reads give up sooner: asking later is up to the user */

struct client;

struct command {
	const char *name;
	const char *usage;            /* behind the name */
	const char *summary;          /* one line */
	const char *help;             /* paragraphs, options, examples */
	enum outcome (*run)(struct client *client, int argc, char **argv);   /* argv behind the name */
};

struct client {
	const struct command *command;
	bool json, quiet, help, version;
	struct settings_overrides overrides;
	struct settings settings;
	struct token token;
	struct http *http;            /* made by the first ask */
};

/* What the store answered; close it in any case. */
struct reply {
	struct http_answer answer;
	json_t *envelope;             /* NULL unless the outcome was DONE */
};

struct ask {
	const struct settings_urls *urls;
	struct http_request request;  /* its key, when there is none and the ask changes something, is made here */
	bool changes;                 /* not a read */
	const char *again;            /* the command line to ask again with, without --key; NULL: "the same command" */
};

void client_init(struct client *client);
void client_close(struct client *client);

/* Reads the options that stand before the command. args->consumed is the command's index. Errors: false and args->error. */
bool client_parse_globals(struct client *client, int argc, char **argv, struct args *args);

/*
 * Reads a command's own options and the global ones, checks how many positionals there are, shows help, loads the settings.
 * False: the command ends now with *outcome.
 */
bool client_begin(struct client *client, const struct args_option *options, size_t option_count, int argc, char **argv,
		  size_t positionals_min, size_t positionals_max, struct args *args, enum outcome *outcome);

/* Reads the admin token into client->token, once. */
enum outcome client_need_token(struct client *client);

/* Writes "pygmy: sentence" to standard error, and with --json an object to standard output. Gives outcome back. */
enum outcome client_fail(const struct client *client, enum outcome outcome, const char *code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* A sentence on standard error that is no failure; nothing when quiet. */
void client_note(const struct client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Asks and waits, says what went wrong. DONE: a 2xx with an envelope. */
enum outcome client_ask(struct client *client, const struct ask *ask, struct reply *reply);
void reply_close(struct reply *reply);

/* How long requests may take, with --timeout or without. */
struct retry_policy client_policy(const struct client *client, bool changes);

/* Says what a request's end means when it was not a 2xx. key NULL: it was a read. again as in struct ask. Gives the outcome. */
enum outcome client_explain(const struct client *client, enum retry_end end, const struct http_answer *answer, const char *key,
			    const char *again);

/* The answer as it came, on one line; on a terminal re-encoded so that it holds no control characters. */
void client_print_json(const struct http_answer *answer);

/* A value made here, on one line. Takes the reference. */
void client_print_json_value(json_t *value);

/* Prints to standard output what is safe already, or makes it safe. */
void client_print_safe(const char *bytes, size_t len);

/* A table on standard output as wide as the terminal. */
void client_table_init(const struct client *client, struct table *table, const struct table_column *columns, size_t column_count);

#endif
