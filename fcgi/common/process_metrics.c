/* process_metrics: see process_metrics.h. */
#include "fcgi/common/process_metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fcgi/common/metrics.h"

/* The fields of /proc/self/stat behind the program's name (proc(5) counts them from 3, the state). */
enum { UTIME = 14, STIME = 15, VSIZE = 23, RSS = 24 };

/* False when the file is not what it should be. */
static bool read_stat(double fields[RSS + 1])
{
	char text[1024];
	FILE *stream = fopen("/proc/self/stat", "re");
	size_t len = stream == NULL ? 0 : fread(text, 1, sizeof text - 1, stream);
	if (stream != NULL)
		fclose(stream);
	text[len] = '\0';
	char *at = strrchr(text, ')'), *rest = NULL;
	if (at == NULL)
		return false;
	strtok_r(at + 1, " ", &rest);
	for (int field = 4; field <= RSS; field++) {
		const char *word = strtok_r(NULL, " ", &rest);
		if (word == NULL || sscanf(word, "%lf", &fields[field]) != 1)
			return false;
	}
	return true;
}

static int count_files(void)
{
	int count = 0;
	DIR *dir = opendir("/proc/self/fd");
	if (dir == NULL)
		return 0;
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count - 3;     /* `.`, `..`, and the one that reads the folder */
}

void process_metrics_write(struct writer *out)
{
	double fields[RSS + 1];
	struct rlimit files;
	if (read_stat(fields)) {
		metrics_write_value(out, "process_cpu_seconds_total", "counter", "Time on a processor, user and system.",
			(fields[UTIME] + fields[STIME]) / (double)sysconf(_SC_CLK_TCK));
		metrics_write_value(out, "process_resident_memory_bytes", "gauge", "Memory in use.", fields[RSS] * (double)sysconf(_SC_PAGESIZE));
		metrics_write_value(out, "process_virtual_memory_bytes", "gauge", "Memory mapped.", fields[VSIZE]);
	}
	metrics_write_value(out, "process_open_fds", "gauge", "Open file descriptors.", count_files());
	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
		metrics_write_value(out, "process_max_fds", "gauge", "File descriptors that may be open.", (double)files.rlim_cur);
}
