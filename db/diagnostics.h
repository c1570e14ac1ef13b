/*
 * diagnostics: the log lines of a process, on standard error.
 *
 * `2026-01-31T12:00:00.123Z level name: text`, one write per line, at most DIAGNOSTICS_LINE_MAX bytes (longer ones are cut and
 * say so). Control characters are written as `?`, so that no client can forge a line. Never give it a token or a whole header.
 */
#ifndef PYGMY_DB_DIAGNOSTICS_H
#define PYGMY_DB_DIAGNOSTICS_H

#define DIAGNOSTICS_LINE_MAX 1000

enum diagnostics_level { DIAGNOSTICS_DEBUG, DIAGNOSTICS_INFO, DIAGNOSTICS_WARNING, DIAGNOSTICS_ERROR };

/* Before threads start. name is kept, not copied. */
void diagnostics_init(const char *name, enum diagnostics_level least);

void diagnose(enum diagnostics_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define diagnose_debug(...) diagnose(DIAGNOSTICS_DEBUG, __VA_ARGS__)
#define diagnose_info(...) diagnose(DIAGNOSTICS_INFO, __VA_ARGS__)
#define diagnose_warning(...) diagnose(DIAGNOSTICS_WARNING, __VA_ARGS__)
#define diagnose_error(...) diagnose(DIAGNOSTICS_ERROR, __VA_ARGS__)

#endif
