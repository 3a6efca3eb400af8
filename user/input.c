/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Strict reading of JSON bodies and queries. */
#include <ctype.h>
#include <string.h>

#include "input.h"
#include "util.h"

#define invalid(failure, ...) failure_set(failure, FAILURE_INVALID_ARGUMENT, __VA_ARGS__)

/* A JSON type in a sentence: "must be a string, not <this>". */
static const char *type_name(const json_t *value)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",
		[JSON_STRING] = "a string",  [JSON_INTEGER] = "a whole number",
		[JSON_REAL] = "a fraction",  [JSON_TRUE] = "true",
		[JSON_FALSE] = "false",	     [JSON_NULL] = "null",
	};

	return names[json_typeof(value)];
}

static int refuse_json(const json_error_t *error, struct failure *ret_failure)
{
	switch (json_error_code(error)) {
	case json_error_duplicate_key:
		return invalid(ret_failure, "The body has a member twice (line %d, column %d).",
			       error->line, error->column);
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return invalid(ret_failure,
			       "The body has a NUL character, \\u0000, in a text (line %d, column "
			       "%d).",
			       error->line, error->column);
	default:
		return invalid(ret_failure, "The body is not valid JSON: %s (line %d, column %d).",
			       error->text, error->line, error->column);
	}
}

int input_parse_body(const char *body, size_t length, json_t **ret_object,
		     struct failure *ret_failure)
{
	json_error_t error;
	json_t *json;
	int r;

	if (!length)
		return invalid(ret_failure, "The body is empty; it must be a JSON object.");
	json = json_loadb(body, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (!json)
		return refuse_json(&error, ret_failure);
	if (!json_is_object(json)) {
		r = invalid(ret_failure, "The body must be a JSON object, not %s.",
			    type_name(json));
		json_decref(json);
		return r;
	}
	*ret_object = json;
	return 0;
}

static int read_instant(const json_t *json, struct input_member *member,
			struct failure *ret_failure)
{
	int r = json_is_string(json) ? rfc3339_parse(json_string_value(json), member->value) : -1;

	if (!r)
		return 0;
	return invalid(ret_failure,
		       "%s must be an instant as a string, such as \"2030-01-31T12:00:00Z\"; "
		       "leave it out for never.",
		       member->name);
}

static int read_member(const json_t *json, struct input_member *member, struct failure *ret_failure)
{
	member->present = true;
	switch (member->type) {
	case INPUT_TEXT:
		if (!json_is_string(json))
			return invalid(ret_failure, "%s must be a string, not %s.", member->name,
				       type_name(json));
		*(const char **)member->value = json_string_value(json);
		return 0;
	case INPUT_NUMBER:
		if (!json_is_integer(json))
			return invalid(ret_failure, "%s must be a whole number, not %s.",
				       member->name, type_name(json));
		*(int64_t *)member->value = json_integer_value(json);
		return 0;
	case INPUT_INSTANT:
		break;
	}
	return read_instant(json, member, ret_failure);
}

static int refuse_member(const char *name, const struct input_member *members, size_t count,
			 struct failure *ret_failure)
{
	char names[128] = "";
	size_t used = 0;

	for (size_t i = 0; i < count && used < sizeof(names); i++)
		used += snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "",
				 members[i].name);
	return invalid(ret_failure, "There is no member \"%.64s\"; allowed are %s.", name, names);
}

int input_read_object(const json_t *object, struct input_member *members, size_t count,
		      struct failure *ret_failure)
{
	const char *name;
	json_t *value;
	int r;

	json_object_foreach((json_t *)object, name, value)
	{
		struct input_member *member = members;

		while (member < members + count && strcmp(member->name, name))
			member++;
		if (member == members + count)
			return refuse_member(name, members, count, ret_failure);
		r = read_member(value, member, ret_failure);
		if (r)
			return r;
	}
	for (size_t i = 0; i < count; i++)
		if (members[i].required && !members[i].present)
			return invalid(ret_failure, "%s is missing.", members[i].name);
	return 0;
}

static int hex_digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

bool input_decode(const char *text, size_t length, char *ret_value, size_t value_size)
{
	size_t used = 0;

	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		if (c == '%') {
			if (length - i < 3 || !isxdigit((unsigned char)text[i + 1]) ||
			    !isxdigit((unsigned char)text[i + 2]))
				return false;
			c = hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]);
			i += 2;
		}
		if (!c || used + 1 >= value_size)
			return false;
		ret_value[used++] = c;
	}
	ret_value[used] = '\0';
	return true;
}

int input_read_query(const char *query, const char *name, char *ret_value, size_t value_size,
		     struct failure *ret_failure)
{
	size_t name_length, length;

	*ret_value = '\0';
	if (!query || !*query)
		return 0;
	if (!name)
		return invalid(ret_failure, "This call takes no query parameters.");
	length = strcspn(query, "&");
	name_length = strcspn(query, "=&");
	if (name_length != strlen(name) || strncmp(query, name, name_length))
		return invalid(ret_failure, "There is no query parameter \"%.*s\"; allowed is %s.",
			       (int)(name_length < 64 ? name_length : 64), query, name);
	if (query[length])
		return invalid(ret_failure,
			       "There is more than one query parameter; allowed is %s.", name);
	if (length == name_length)
		return invalid(ret_failure, "%s has no value.", name);
	if (!input_decode(query + name_length + 1, length - name_length - 1, ret_value, value_size))
		return invalid(ret_failure, "%s is too long or has a broken %% escape.", name);
	return *ret_value ? 0 : invalid(ret_failure, "%s has no value.", name);
}
