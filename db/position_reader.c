/* position_reader: see position_reader.h. */
#include "db/position_reader.h"

#include <pthread.h>
#include <stdlib.h>

#include "db/monotonic.h"

struct position_reader {
	pthread_mutex_t mutex;
	pthread_cond_t answered;      /* CLOCK_MONOTONIC */
	position_ask ask;
	void *context;
	bool asking;
	uint64_t asked, finished;     /* questions, numbered from 1 */
	bool good;                    /* whether the last finished one was answered */
	struct etcd_position position;
};

enum pygmy_error position_reader_create(position_ask ask, void *context, struct position_reader **out)
{
	struct position_reader *reader = calloc(1, sizeof *reader);
	pthread_condattr_t attributes;
	*out = reader;
	if (reader == NULL)
		return PYGMY_OUT_OF_MEMORY;
	pthread_mutex_init(&reader->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&reader->answered, &attributes);
	pthread_condattr_destroy(&attributes);
	reader->ask = ask;
	reader->context = context;
	return PYGMY_OK;
}

void position_reader_destroy(struct position_reader *reader)
{
	if (reader == NULL)
		return;
	pthread_cond_destroy(&reader->answered);
	pthread_mutex_destroy(&reader->mutex);
	free(reader);
}

/* With the mutex held, which is given back meanwhile. */
static void lead(struct position_reader *reader, int64_t deadline_ms)
{
	struct etcd_position position = { 0 };
	reader->asking = true;
	reader->asked++;
	pthread_mutex_unlock(&reader->mutex);
	bool good = reader->ask(reader->context, deadline_ms, &position) == ETCD_OK;
	pthread_mutex_lock(&reader->mutex);
	reader->asking = false;
	reader->finished = reader->asked;
	reader->good = good;
	reader->position = position;
	pthread_cond_broadcast(&reader->answered);
}

/* Whoever led the question that failed may have had less time left than we: then we ask once ourselves. */
bool position_reader_ask(struct position_reader *reader, int64_t deadline_ms, struct etcd_position *out)
{
	struct timespec until = { deadline_ms / 1000, (long)(deadline_ms % 1000) * 1000000 };
	bool led = false, good = false, over = false;
	pthread_mutex_lock(&reader->mutex);
	uint64_t wanted = reader->asked + 1;  /* the one under way was sent before */
	while (!good && !over) {
		if (reader->finished >= wanted) {
			good = reader->good;
			over = led;
			wanted = reader->asked + 1;
		} else if (monotonic_ms() >= deadline_ms) {
			over = true;
		} else if (reader->asking) {
			pthread_cond_timedwait(&reader->answered, &reader->mutex, &until);
		} else {
			led = true;
			lead(reader, deadline_ms);
		}
	}
	*out = reader->position;
	pthread_mutex_unlock(&reader->mutex);
	return good;
}
