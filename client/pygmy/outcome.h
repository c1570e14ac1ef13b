/*
 * outcome: how a run of the command ends, in one table: the exit status and what the help says about it.
 *
 * The numbers are part of the command's interface; scripts rely on them.
 */
#ifndef PYGMY_CLIENT_OUTCOME_H
#define PYGMY_CLIENT_OUTCOME_H

/* X(exit status, NAME, "meaning") */
#define PYGMY_OUTCOMES(X) \
	X(0, DONE, "done") \
	X(1, REFUSED, "the store refused: sold out, not found, not allowed, any other 4xx") \
	X(2, USAGE, "the command line is wrong; nothing was sent") \
	X(3, UNAVAILABLE, "the store can't be reached, is not ready, or answered 5xx") \
	X(4, UNKNOWN, "the outcome is unknown; the message says how to ask again without doing it twice") \
	X(5, LOCAL, "a local file, a setting or standard output is the problem") \
	X(130, INTERRUPTED, "stopped by Ctrl-C or SIGTERM before anything was sent, or between two requests")

enum outcome {
#define X(value, name, text) OUTCOME_##name = (value),
	PYGMY_OUTCOMES(X)
#undef X
};

#endif
