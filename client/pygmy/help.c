/*
 * help: the overview is made from the tables of commands and outcomes, so that it can't forget one.
 */
#include "client/pygmy/help.h"

#include "client/pygmy/commands.h"

static const char global_options_help[] =
	"Options of every command:\n"
	"  --json               one JSON value on standard output: the store's answer, or {\"code\",\"message\",\"status\"}\n"
	"  --quiet, -q          no progress and no notes\n"
	"  --timeout SECONDS    for a request with its retries (10; import 60)\n"
	"  --url URL            the frontend (http://127.0.0.1:8010)\n"
	"  --catalog-url URLS   the catalog workers, with commas (ports 8011 and 8012)\n"
	"  --order-url URLS     the order workers, with commas (ports 8013 and 8014)\n"
	"  --token-file FILE    the admin token, for commands that change the catalogue\n"
	"  --help, -h           this, or the help of a command\n"
	"  --version\n";

static const char settings_help[] =
	"Settings come from the command line, else the environment, else one KEY=value file ($PYGMY_CONFIG, else etc/pygmy.env beside\n"
	"the bin folder of this program, else /etc/pygmy/pygmy.env): PYGMY_URL, PYGMY_CATALOG_URL, PYGMY_ORDER_URL, or PYGMY_LISTEN and\n"
	"PYGMY_PORT_FRONTEND, _CATALOG_A, _CATALOG_B, _ORDER_A, _ORDER_B; PYGMY_SECRETS_DIR (its admin.token) or PYGMY_STATE_DIR.\n";

void help_show_all(FILE *out)
{
	(void)fputs("pygmy: the client of the Pygmy store.\n\nUsage: pygmy [options] COMMAND ...\n\nCommands (pygmy help COMMAND tells more):\n", out);
	for (size_t i = 0; commands[i] != NULL; i++)
		(void)fprintf(out, "  %-8s  %s\n", commands[i]->name, commands[i]->summary);
	(void)fprintf(out, "\n%s\nExit status:\n", global_options_help);
#define X(value, name, text) (void)fprintf(out, "  %3d  %s\n", value, text);
	PYGMY_OUTCOMES(X)
#undef X
	(void)fprintf(out, "\n%s", settings_help);
}

void help_show_command(FILE *out, const struct command *command)
{
	(void)fprintf(out, "pygmy %s: %s\n\nUsage: pygmy %s %s\n\n%s\n%s", command->name, command->summary, command->name, command->usage,
		      command->help, global_options_help);
}
