/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Tables of runs against a stand-in for the daemon. */
#include "row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stub.h"

char *make_answer(int http_status, const char *body)
{
	char *answer = NULL;

	assert_true(asprintf(&answer,
			     "HTTP/1.1 %d Whatever\r\nContent-Type: application/json\r\n"
			     "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
			     http_status, strlen(body), body) > 0);
	return answer;
}

struct outcome run_against(const char *answer, int requests, const char *const *arguments,
			   enum output output)
{
	struct stub *stub = stub_start(answer, requests);
	struct outcome outcome = run_cli(stub_socket(stub), arguments, output);

	stub_stop(stub);
	return outcome;
}

static void test_row(void **state)
{
	const struct row *row = *state;
	char *answer = make_answer(row->http_status, row->body ? row->body : "");
	struct stub *stub = stub_start(answer, 0);
	struct outcome outcome = run_cli(stub_socket(stub), row->arguments, TO_PIPES);

	stub_stop_serving(stub);
	assert_int_equal(stub_requests(stub), row->http_status ? 1 : 0);
	assert_int_equal(outcome.status, row->status);
	expect_text("stdout", outcome.out, row->out);
	expect_text("stderr", outcome.err, row->err);
	expect_text("the request", stub_request(stub), row->request);
	if (row->excluded)
		assert_null(strstr(outcome.out, row->excluded));
	outcome_free(&outcome);
	stub_stop(stub);
	free(answer);
}

int run_rows(const struct row *rows, size_t row_count, const struct CMUnitTest *tests,
	     size_t test_count)
{
	struct CMUnitTest *all = calloc(row_count + test_count, sizeof(*all));
	int failed;

	for (size_t i = 0; i < row_count; i++)
		all[i] = (struct CMUnitTest){ rows[i].name, test_row, NULL, stub_tear_down,
					      (void *)&rows[i] };
	for (size_t i = 0; i < test_count; i++) {
		all[row_count + i] = tests[i];
		all[row_count + i].teardown_func = stub_tear_down;
	}
	unsetenv("NO_COLOR");
	cmocka_set_message_output(CM_OUTPUT_TAP);
	failed = _cmocka_run_group_tests("cli", all, row_count + test_count, NULL, NULL);
	free(all);
	return failed;
}
