/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The calls that tell how the gate does: /v1/status for people, /metrics for Prometheus. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "api_calls.h"
#include "counters.h"
#include "util.h"

/* Everything that both calls tell and that can fail to be read. */
struct reading {
	struct store_counts keys;
	uint64_t counters[COUNTER_COUNT];
	uint64_t open_connections;
	struct api_guesses guesses;
	size_t shed;
	uint64_t uptime_seconds;
};

static int read_all(const struct service *service, struct reading *ret_reading,
		    struct failure *ret_failure)
{
	struct api_guesses *guesses = &ret_reading->guesses;
	uint64_t now = now_ms();
	int r = registry_count(service->registry, &ret_reading->keys, ret_failure);

	if (r)
		return r;
	r = kernel_read_counters(service->kernel, ret_reading->counters);
	if (!r)
		r = kernel_read_open(service->kernel, &ret_reading->open_connections);
	if (!r)
		r = kernel_read_guesses(service->kernel, API_GUESSES_TOP, guesses->sources,
					guesses->made, &guesses->count, &guesses->all);
	if (!r)
		r = api_count_shed(service, &ret_reading->shed);
	if (r)
		return failure_set(ret_failure, FAILURE_UNAVAILABLE,
				   "The kernel side cannot be read: %s.", strerror(-r));
	/* A clock that was set back makes no negative span. */
	ret_reading->uptime_seconds =
		now > service->started_ms ? (now - service->started_ms) / 1000 : 0;
	return 0;
}

static json_t *counters_to_json(const uint64_t counters[COUNTER_COUNT])
{
	json_t *json = json_object();

	for (enum counter i = 0; json && i < COUNTER_COUNT; i++) {
		char member[COUNTER_MEMBER_SIZE];

		counter_member(i, member);
		if (json_object_set_new(json, member, json_integer(counters[i]))) {
			json_decref(json);
			return NULL;
		}
	}
	return json;
}

static json_t *keys_to_json(const struct service *service, const struct store_counts *keys)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "active", (json_int_t)keys->active, "expired",
			 (json_int_t)keys->expired, "revoked", (json_int_t)keys->revoked, "max",
			 (json_int_t)kernel_slots(service->kernel));
}

int api_status(const struct api_call *call, struct api_response *ret_response,
	       struct failure *ret_failure)
{
	const struct service *service = call->service;
	char started[RFC3339_SIZE];
	struct reading reading;
	json_t *gates = NULL;
	int r = read_all(service, &reading, ret_failure);

	if (!r)
		r = api_read_gates(service->kernel, &gates, ret_failure);
	if (r)
		return r;
	rfc3339_format(service->started_ms, started);
	return api_respond_json(
		ret_response, 200,
		json_pack("{s:s, s:s, s:I, s:b, s:b, s:s, s:s, s:s, s:o, s:o, s:{s:I, s:I}, s:o, "
			  "s:{s:b, s:I, s:I}, s:o}",
			  "version", SLUICE_VERSION, "startedAt", started, "uptimeSeconds",
			  (json_int_t)reading.uptime_seconds, "enforcing",
			  kernel_enforcing(service->kernel), "takenOver",
			  kernel_taken_over(service->kernel), "cgroup",
			  kernel_cgroup(service->kernel), "pinFolder", service->config->pin,
			  "stateFolder", service->config->state, "gates", gates, "keys",
			  keys_to_json(service, &reading.keys), "connections", "open",
			  (json_int_t)reading.open_connections, "max",
			  (json_int_t)kernel_max_connections(service->kernel), "guesses",
			  api_guesses_to_json(&reading.guesses,
					      kernel_guess_sources(service->kernel)),
			  "shed", "on", shed_is_on(service->shed), "sources",
			  (json_int_t)reading.shed, "max",
			  (json_int_t)kernel_shed_sources(service->kernel), "counts",
			  counters_to_json(reading.counters)),
		ret_failure);
}

static void print_metric(FILE *out, const char *name, const char *type, const char *help,
			 uint64_t value)
{
	fprintf(out, "# HELP sluice_%s %s.\n# TYPE sluice_%s %s\nsluice_%s %" PRIu64 "\n", name,
		help, name, type, name, value);
}

/* The verdict a counter counts, as a label, or NULL where it counts something else. */
static const char *verdict_of(const char *name)
{
	if (!strcmp(name, "admitted"))
		return name;
	return strncmp(name, "refused_", 8) ? NULL : name + 8;
}

static void print_counters(FILE *out, const uint64_t counters[COUNTER_COUNT])
{
	fprintf(out, "# HELP sluice_requests_total Requests that were judged, by verdict.\n"
		     "# TYPE sluice_requests_total counter\n");
	for (size_t i = 0; i < COUNTER_COUNT; i++)
		if (verdict_of(counter_texts[i].name))
			fprintf(out, "sluice_requests_total{verdict=\"%s\"} %" PRIu64 "\n",
				verdict_of(counter_texts[i].name), counters[i]);
	for (size_t i = 0; i < COUNTER_COUNT; i++) {
		char name[64];

		if (verdict_of(counter_texts[i].name))
			continue;
		snprintf(name, sizeof(name), "%s_total", counter_texts[i].name);
		print_metric(out, name, "counter", counter_texts[i].help, counters[i]);
	}
}

static void print_keys(FILE *out, const struct store_counts *keys)
{
	fprintf(out,
		"# HELP sluice_keys Keys in the store, by status.\n"
		"# TYPE sluice_keys gauge\n"
		"sluice_keys{status=\"active\"} %" PRIu64 "\n"
		"sluice_keys{status=\"expired\"} %" PRIu64 "\n"
		"sluice_keys{status=\"revoked\"} %" PRIu64 "\n",
		keys->active, keys->expired, keys->revoked);
}

int api_metrics(const struct api_call *call, struct api_response *ret_response,
		struct failure *ret_failure)
{
	const struct service *service = call->service;
	struct reading reading;
	FILE *out;
	int r = read_all(service, &reading, ret_failure);

	if (r)
		return r;
	out = open_memstream(&ret_response->body, &ret_response->body_length);
	if (!out)
		return failure_set(ret_failure, FAILURE_UNAVAILABLE,
				   "The daemon is out of memory; try again later.");
	fprintf(out,
		"# HELP sluice_build_info The version that runs.\n"
		"# TYPE sluice_build_info gauge\n"
		"sluice_build_info{version=\"%s\"} 1\n",
		SLUICE_VERSION);
	print_metric(out, "uptime_seconds", "gauge", "Seconds since the daemon started",
		     reading.uptime_seconds);
	print_metric(out, "enforcing", "gauge", "1 where the kernel side is in force",
		     kernel_enforcing(service->kernel));
	print_counters(out, reading.counters);
	print_metric(out, "connections_open", "gauge", "Connections that are gated now",
		     reading.open_connections);
	print_metric(out, "connections_max", "gauge", "Connections that can be gated at once",
		     kernel_max_connections(service->kernel));
	print_metric(
		out, "guess_sources", "gauge",
		"Addresses that keys were guessed from; verdict=\"invalid_key\" tells how many",
		reading.guesses.all);
	print_metric(out, "guess_sources_max", "gauge", "Addresses that are told apart",
		     kernel_guess_sources(service->kernel));
	print_metric(out, "shed_sources", "gauge", "Sources that are shed now", reading.shed);
	print_metric(out, "shed_sources_max", "gauge", "Sources that can be shed at once",
		     kernel_shed_sources(service->kernel));
	print_keys(out, &reading.keys);
	print_metric(out, "keys_max", "gauge", "Keys that can be in force at once",
		     kernel_slots(service->kernel));
	ret_response->status = 200;
	ret_response->content_type = "text/plain; version=0.0.4; charset=utf-8";
	if (!fclose(out))
		return 0;
	api_free_body(ret_response->body);
	ret_response->body = NULL;
	return failure_set(ret_failure, FAILURE_UNAVAILABLE,
			   "The daemon is out of memory; try again later.");
}
