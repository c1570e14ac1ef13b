/* load_run: see run.h. */
#include "client/load/run.h"

#include <inttypes.h>
#include <string.h>

#define CONNECT_US 3000000
#define RECONNECT_PAUSE_US 100000
#define TICK_US 20000

static int64_t now_of(const struct load_run *run)
{
	return load_now_us() - run->start_us;
}

static bool is_closed(const struct load_run *run)
{
	return run->options->rate <= 0;
}

static void note(struct load_run *run, enum load_operation operation, enum load_end end, bool hit, int64_t intended_us, int64_t sent_us)
{
	struct load_outcome outcome = { operation, end, hit, intended_us, sent_us, now_of(run) };
	load_tally_add(run->tally, &outcome);
	if (outcome.ended_us > run->last_end_us)
		run->last_end_us = outcome.ended_us;
}

/* ---- requests --------------------------------------------------------------------------------- */

static void give_up_link(struct load_run *run, struct load_link *link, enum load_end end, int64_t pause_us)
{
	if (link->state == LOAD_LINK_BUSY) {
		run->busy--;
		note(run, link->job.operation, end, false, link->intended_us, link->sent_us);
		/* The first read is one after an acknowledged write only. */
		memset(&link->job, 0, sizeof link->job);
	}
	load_link_close(&run->links, link, load_now_us() + pause_us);
}

/* Searches are left out: a purchase changes many of them. */
static void note_what_is_possible(struct load_run *run, const struct load_link *link)
{
	size_t frontend = (size_t)(link - run->links.links) % run->options->url_count;
	const struct load_job *job = &link->job;
	if (job->operation == LOAD_BUY)
		load_best_write(&run->best, job->item_index);
	else if (job->operation != LOAD_SEARCH && load_best_read(&run->best, job->item_index, frontend) && !run->options->strict)
		run->tally->operations[job->operation].possible_hits++;
}

static void send_next(struct load_run *run, struct load_link *link, int64_t intended_us)
{
	load_plan_next(run->plan, &link->job);
	note_what_is_possible(run, link);
	link->request_len = load_plan_write(run->plan, &link->job, &link->target, link->request);
	link->sent_us = now_of(run);
	link->intended_us = intended_us >= 0 ? intended_us : link->sent_us;
	run->busy++;
	if (!load_link_send(&run->links, link))
		give_up_link(run, link, LOAD_BROKEN, 0);
}

static bool is_over(const struct load_run *run)
{
	return run->stopped || now_of(run) >= run->options->run_us;
}

static void use_free_link(struct load_run *run, struct load_link *link)
{
	if (run->started && is_closed(run) && !is_over(run))
		send_next(run, link, -1);
}

static enum load_end end_of(const struct response *response)
{
	if (response->status >= 500)
		return response_is_overload(response) ? LOAD_OVERLOADED : LOAD_SERVER_ERROR;
	if (response->status == 429)
		return LOAD_LIMITED;
	return response->status < 300 || response->status == 304 ? LOAD_DONE : LOAD_REFUSED;
}

static void take_answer(struct load_run *run, struct load_link *link)
{
	const struct response *response = &link->response;
	run->busy--;
	link->state = LOAD_LINK_FREE;
	note(run, link->job.operation, end_of(response), response->hit, link->intended_us, link->sent_us);
	if (run->acks != NULL && link->job.operation == LOAD_BUY && response->status == 200)
		fprintf(run->acks, "%" PRId64 " %" PRId64 "\n", response_order_id(response), run->plan->items[link->job.item_index]);
	if (response->status >= 400)
		memset(&link->job, 0, sizeof link->job);
	if (response->closes)
		load_link_close(&run->links, link, load_now_us());
	else
		use_free_link(run, link);
}

static void take_event(void *context, enum load_event event, struct load_link *link)
{
	struct load_run *run = context;
	switch (event) {
	case LOAD_EVENT_NONE:
		break;
	case LOAD_EVENT_SIGNAL:
		run->stopped = true;
		run->interrupted = true;
		break;
	case LOAD_EVENT_UP:
		use_free_link(run, link);
		break;
	case LOAD_EVENT_DOWN:
		/* In a closed loop it is this client that finds the door shut; in an open loop see fail_unconnected. */
		if (run->started && is_closed(run) && !is_over(run)) {
			int64_t now_us = now_of(run);
			load_plan_next(run->plan, &link->job);
			note(run, link->job.operation, LOAD_UNCONNECTED, false, now_us, -1);
			memset(&link->job, 0, sizeof link->job);
		}
		give_up_link(run, link, LOAD_UNCONNECTED, RECONNECT_PAUSE_US);
		break;
	case LOAD_EVENT_ANSWERED:
		take_answer(run, link);
		break;
	case LOAD_EVENT_BROKEN:
		give_up_link(run, link, LOAD_BROKEN, 0);
		break;
	}
}

/* ---- the open loop ---------------------------------------------------------------------------- */

/* The next free link, one after the other, so that none is idle for long. NULL: none is free. */
static struct load_link *find_free(struct load_run *run)
{
	struct load_links *links = &run->links;
	if (links->count == links->down + links->connecting + run->busy)
		return NULL;
	while (links->links[run->cursor % links->count].state != LOAD_LINK_FREE)
		run->cursor++;
	return &links->links[run->cursor++ % links->count];
}

/* A request that never goes out. */
static void fail_due(struct load_run *run, int64_t due_us, enum load_end end)
{
	struct load_job job = { 0 };
	load_plan_next(run->plan, &job);
	load_schedule_take(&run->schedule);
	note(run, job.operation, end, false, due_us, -1);
}

/* Starts what is due. Returns when the next one is, or INT64_MAX. */
static int64_t start_due(struct load_run *run)
{
	int64_t due_us;
	while (!run->stopped && (due_us = load_schedule_next_us(&run->schedule)) >= 0) {
		int64_t now_us = now_of(run);
		if (due_us > now_us)
			return due_us;
		if (now_us - due_us > run->options->timeout_us) {
			fail_due(run, due_us, LOAD_UNSENT);
			continue;
		}
		struct load_link *link = find_free(run);
		if (link != NULL) {
			load_schedule_take(&run->schedule);
			send_next(run, link, due_us);
		} else if (run->links.down == run->links.count) {
			fail_due(run, due_us, LOAD_UNCONNECTED);
		} else {
			break;
		}
	}
	return INT64_MAX;
}

/* ---- time ------------------------------------------------------------------------------------- */

static void end_late(struct load_run *run)
{
	int64_t now_us = now_of(run);
	for (size_t i = 0; i < run->links.count && run->busy > 0; i++) {
		struct load_link *link = &run->links.links[i];
		if (link->state == LOAD_LINK_BUSY && now_us - link->sent_us > run->options->timeout_us)
			give_up_link(run, link, LOAD_TIMEOUT, 0);
	}
}

struct progress {
	int64_t next_us;
	struct load_sums last;
};

static void show_progress(struct load_run *run, struct progress *progress)
{
	struct load_sums sums = load_tally_sums(run->tally);
	int64_t due_us = is_closed(run) ? -1 : load_schedule_next_us(&run->schedule);
	int64_t late_us = due_us < 0 ? 0 : now_of(run) - due_us;
	fprintf(stderr, "  %3" PRId64 " s of %.0f   %8" PRIu64 " answers/s   %" PRIu64 " failed so far", progress->next_us / 1000000,
		(double)run->options->run_us / 1e6, sums.answers - progress->last.answers, sums.failures);
	if (late_us > 1000)
		fprintf(stderr, "   %" PRId64 " ms behind the schedule", late_us / 1000);
	fputc('\n', stderr);
	progress->last = sums;
	progress->next_us += 1000000;
}

static bool all_connected_or_late(struct load_run *run, int64_t began_us)
{
	const struct load_links *links = &run->links;
	return run->stopped || links->down + links->connecting == 0 || load_now_us() - began_us > CONNECT_US;
}

static bool connect_all(struct load_run *run)
{
	int64_t began_us = load_now_us();
	while (!all_connected_or_late(run, began_us))
		load_links_wait(&run->links, load_now_us() + TICK_US, take_event, run);
	return run->stopped || run->links.down + run->links.connecting < run->links.count;
}

static void start_clock(struct load_run *run)
{
	run->start_us = load_now_us();
	run->started = true;
	for (size_t i = 0; i < run->links.count && is_closed(run); i++)
		if (run->links.links[i].state == LOAD_LINK_FREE)
			use_free_link(run, &run->links.links[i]);
}

static bool has_more(const struct load_run *run)
{
	bool waits = !is_closed(run) && !run->stopped && load_schedule_next_us(&run->schedule) >= 0;
	return !is_over(run) || (run->busy > 0 && !run->interrupted) || waits;
}

static void drive(struct load_run *run)
{
	struct progress progress = { .next_us = 1000000 };
	start_clock(run);
	while (has_more(run)) {
		int64_t until_us = now_of(run) + TICK_US;
		int64_t due_us = is_closed(run) ? INT64_MAX : start_due(run);
		if (due_us < until_us)
			until_us = due_us;
		if (!is_over(run) && run->options->run_us < until_us)
			until_us = run->options->run_us;
		load_links_wait(&run->links, run->start_us + until_us, take_event, run);
		end_late(run);
		while (run->options->progress && now_of(run) >= progress.next_us && !is_over(run))
			show_progress(run, &progress);
	}
}

/* ---- begin ------------------------------------------------------------------------------------ */

static enum load_run_outcome run_connected(struct load_run *run, const struct load_target *targets, char *why, size_t why_size)
{
	for (size_t i = 0; i < run->links.count; i++)
		run->links.links[i].target = targets[i % run->options->url_count];
	if (!connect_all(run)) {
		snprintf(why, why_size, "cannot connect to %s", run->options->urls[0]);
		return LOAD_RUN_UNCONNECTED;
	}
	drive(run);
	return LOAD_RUN_DONE;
}

enum load_run_outcome load_run(struct load_run *run, const struct load_options *options, struct load_plan *plan, struct load_tally *tally,
	FILE *acks, char *why, size_t why_size)
{
	struct load_target targets[LOAD_URLS_MAX];
	enum load_run_outcome outcome = LOAD_RUN_FAILED;
	*run = (struct load_run){ .options = options, .plan = plan, .tally = tally, .acks = acks };
	if (options->rate > 0)
		load_schedule_init(&run->schedule, options->rate, options->poisson, options->run_us, options->seed + 1);
	for (size_t i = 0; i < options->url_count; i++)
		if (!load_target_read(&targets[i], options->urls[i])) {
			snprintf(why, why_size, "this URL cannot be used: %s", options->urls[i]);
			return LOAD_RUN_FAILED;
		}
	if (!load_best_open(&run->best, plan->item_count, options->url_count))
		snprintf(why, why_size, "no memory for what a cache can know");
	else if (load_links_open(&run->links, options->connections, options->urls, options->url_count, options->ca_file, CONNECT_US, why, why_size))
		outcome = run_connected(run, targets, why, why_size);
	load_links_close(&run->links);
	load_best_close(&run->best);
	return outcome;
}
