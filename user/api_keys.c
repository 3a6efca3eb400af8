/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The calls on keys: JSON in, the registry's verb, a record out. Every change is logged. */
#include <sodium.h>
#include <stdlib.h>

#include "api_calls.h"
#include "input.h"
#include "log.h"
#include "util.h"

/* A record as the API shows it. NULL where memory is short. */
static json_t *record_to_json(const struct key_record *record)
{
	char created[RFC3339_SIZE], expires[RFC3339_SIZE], last_used[RFC3339_SIZE];

	rfc3339_format(record->created_ms, created);
	rfc3339_format(record->expires_ms, expires);
	rfc3339_format(record->last_used_ms, last_used);
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:s?, s:s, s:s?, s:s, s:i, s:i}", "id",
			 record->id, "account", record->account, "label", record->label, "prefix",
			 record->prefix, "perMinute", (int)record->per_minute, "perDay",
			 (int)record->per_day, "expiresAt", record->expires_ms ? expires : NULL,
			 "createdAt", created, "lastUsedAt",
			 record->last_used_ms ? last_used : NULL, "status",
			 key_status_name(record->status), "usedMinute", (int)record->used_minute,
			 "usedDay", (int)record->used_day);
}

static int respond_record(struct api_response *ret_response, int status,
			  const struct key_record *record, struct failure *ret_failure)
{
	return api_respond_json(ret_response, status, record_to_json(record), ret_failure);
}

/* Who did what to which key. The secret is not at hand here, and never in the log. */
static void log_change(const struct api_call *call, const char *verb,
		       const struct key_record *record)
{
	log_notice("uid %u, pid %d %s %s of account %s: label %s, %u a minute, %u a day",
		   (unsigned)call->request->uid, (int)call->request->pid, verb, record->id,
		   record->account, record->label, record->per_minute, record->per_day);
}

int api_create_key(const struct api_call *call, struct api_response *ret_response,
		   struct failure *ret_failure)
{
	struct key_request request = { 0 };
	struct key_record record;
	char text[KEY_TEXT_MAX + 1];
	int64_t per_minute, per_day;
	uint64_t expires_ms;
	json_t *json;
	struct input_member members[] = {
		{ "account", INPUT_TEXT, &request.account, .required = true },
		{ "label", INPUT_TEXT, &request.label, .required = true },
		{ "perMinute", INPUT_NUMBER, .value = &per_minute },
		{ "perDay", INPUT_NUMBER, .value = &per_day },
		{ "expiresAt", INPUT_INSTANT, .value = &expires_ms },
	};
	int r = input_read_object(call->body, members, ARRAY_SIZE(members), ret_failure);

	if (r)
		return r;
	request.per_minute = members[2].present ? &per_minute : NULL;
	request.per_day = members[3].present ? &per_day : NULL;
	request.expires_ms = members[4].present ? &expires_ms : NULL;
	r = registry_create(call->service->registry, &request, &record, text, ret_failure);
	if (r)
		return r;
	log_change(call, "created", &record);
	json = record_to_json(&record);
	if (json && json_object_set_new(json, "key", json_string(text))) {
		json_decref(json);
		json = NULL;
	}
	sodium_memzero(text, sizeof(text));
	return api_respond_json(ret_response, 201, json, ret_failure);
}

int api_edit_key(const struct api_call *call, struct api_response *ret_response,
		 struct failure *ret_failure)
{
	struct key_change change = { 0 };
	struct key_record record;
	int64_t per_minute, per_day;
	struct input_member members[] = {
		{ "label", INPUT_TEXT, .value = &change.label },
		{ "perMinute", INPUT_NUMBER, .value = &per_minute },
		{ "perDay", INPUT_NUMBER, .value = &per_day },
	};
	int r = input_read_object(call->body, members, ARRAY_SIZE(members), ret_failure);

	if (r)
		return r;
	change.per_minute = members[1].present ? &per_minute : NULL;
	change.per_day = members[2].present ? &per_day : NULL;
	r = registry_edit(call->service->registry, call->id, &change, &record, ret_failure);
	if (r)
		return r;
	log_change(call, "edited", &record);
	return respond_record(ret_response, 200, &record, ret_failure);
}

int api_revoke_key(const struct api_call *call, struct api_response *ret_response,
		   struct failure *ret_failure)
{
	struct key_record record;
	int r = registry_revoke(call->service->registry, call->id, &record, ret_failure);

	if (r < 0)
		return r;
	if (!r)
		log_change(call, "revoked", &record);
	return respond_record(ret_response, 200, &record, ret_failure);
}

int api_get_key(const struct api_call *call, struct api_response *ret_response,
		struct failure *ret_failure)
{
	struct key_record record;
	int r = registry_get(call->service->registry, call->id, &record, ret_failure);

	return r ? r : respond_record(ret_response, 200, &record, ret_failure);
}

int api_list_keys(const struct api_call *call, struct api_response *ret_response,
		  struct failure *ret_failure)
{
	const char *account = *call->parameter ? call->parameter : NULL;
	_cleanup_free_ struct key_record *records = NULL;
	json_t *keys;
	size_t count;
	int r = registry_list(call->service->registry, account, &records, &count, ret_failure);

	if (r)
		return r;
	keys = json_array();
	for (size_t i = 0; keys && i < count; i++) {
		if (!json_array_append_new(keys, record_to_json(&records[i])))
			continue;
		json_decref(keys);
		keys = NULL;
	}
	return api_respond_json(ret_response, 200, json_pack("{s:o}", "keys", keys), ret_failure);
}
