/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the agent program from its controller's side: what it says, and how it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/model/model.h"
#include "core/wire/control.h"
#include "core/world/spawn.h"
#include "models/zoo.h"

struct agent {
    pid_t pid;
    struct control control;
    int heard[64]; /* how many messages of each kind */
    char error[512]; /* text of its last Error */
    unsigned error_kind, protocol;
};

static int hear(void *context, const Wire__Message *message, struct error *error)
{
    struct agent *agent = context;
    (void)error;
    agent->heard[message->body_case]++;
    if (message->body_case == WIRE__MESSAGE__BODY_HELLO)
        agent->protocol = message->hello->protocol;
    if (message->body_case == WIRE__MESSAGE__BODY_ERROR) {
        agent->error_kind = message->error->kind;
        strncpy(agent->error, message->error->text, sizeof(agent->error) - 1);
    }
    return 0;
}

/* Reads until a message of that kind has come. false: the agent has ended, or 20 s have passed. */
static bool listen_for(struct agent *agent, int kind)
{
    struct error error;
    int64_t until_ns = clock_now_ns() + 20 * NS_PER_S;
    int before = agent->heard[kind];
    while (agent->heard[kind] == before && clock_now_ns() < until_ns) {
        struct pollfd readable = {.fd = agent->control.read_fd, .events = POLLIN};
        if (poll(&readable, 1, 1000) > 0 && control_read(&agent->control, hear, agent, &error) <= 0)
            break;
    }
    return agent->heard[kind] > before;
}

static void start(struct agent *agent)
{
    struct error error = {0};
    int fd;
    memset(agent, 0, sizeof(*agent));
    const char *build = getenv("top_builddir");
    char *path = text_format("%s/agent/napm-agent", build ? build : ".");
    char *plugins = text_format("%s/plugins/.libs", build ? build : ".");
    setenv("NAPM_PLUGIN_PATH", plugins, 1);
    agent->pid = spawn_agent(path, &fd, &error);
    if (agent->pid < 0)
        fail_msg("%s", error.text);
    control_open(&agent->control, fd, fd);
    assert_true(listen_for(agent, WIRE__MESSAGE__BODY_HELLO));
    assert_int_equal(agent->protocol, WIRE_PROTOCOL);
    free(path);
    free(plugins);
}

/* It ends by itself within 5 s, with that status. */
static void expect_end(struct agent *agent, int wanted)
{
    int status = -1;
    int64_t until_ns = clock_now_ns() + 5 * NS_PER_S;
    while (waitpid(agent->pid, &status, WNOHANG) == 0 && clock_now_ns() < until_ns)
        clock_sleep_until_ns(clock_now_ns() + 5 * NS_PER_MS);
    if (clock_now_ns() >= until_ns)
        kill(agent->pid, SIGKILL);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), wanted);
}

static void tell(struct agent *agent, const Wire__Message *message)
{
    struct error error;
    assert_int_equal(control_send(&agent->control, message, &error), 0);
}

static void tell_configure(struct agent *agent, const char *backend, double cpu_share)
{
    Wire__Configure body = WIRE__CONFIGURE__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    char node[] = "pi1", where[] = "a.cfg:7";
    body.node = node;
    body.backend = (char *)(uintptr_t)backend;
    body.backend_where = where;
    body.threads = 1;
    body.cpu_share = cpu_share;
    body.sample_every_ns = 50000000;
    message.body_case = WIRE__MESSAGE__BODY_CONFIGURE;
    message.configure = &body;
    tell(agent, &message);
}

static void tell_stop(struct agent *agent)
{
    Wire__Stop body = WIRE__STOP__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    message.body_case = WIRE__MESSAGE__BODY_STOP;
    message.stop = &body;
    tell(agent, &message);
}

static void tell_load(struct agent *agent, const char *path, const char *hash)
{
    Wire__LoadModel body = WIRE__LOAD_MODEL__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    body.path = (char *)(uintptr_t)path;
    body.hash = (char *)(uintptr_t)hash;
    message.body_case = WIRE__MESSAGE__BODY_LOAD_MODEL;
    message.load_model = &body;
    tell(agent, &message);
}

static void test_it_ends_with_its_controller(void **state)
{
    struct agent agent;
    (void)state;
    start(&agent);
    control_close(&agent.control);
    expect_end(&agent, 0);
    start(&agent);
    tell_configure(&agent, "reference", 1);
    assert_true(listen_for(&agent, WIRE__MESSAGE__BODY_CONFIGURED));
    assert_true(listen_for(&agent, WIRE__MESSAGE__BODY_SAMPLE));
    tell_stop(&agent);
    expect_end(&agent, 0);
    control_close(&agent.control);
}

static void test_it_ends_with_its_controller_in_the_middle_of_a_layer(void **state)
{
    struct agent agent;
    struct error error = {0};
    char path[] = "/tmp/napm-agent-XXXXXX";
    Wire__Profile body = WIRE__PROFILE__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    (void)state;
    close(mkstemp(path));
    assert_int_equal(zoo_write("tiny-cnn", 1, path, &error), 0);
    struct model *model = model_open(path, &error);
    assert_non_null(model);
    start(&agent);
    tell_configure(&agent, "reference", 0.000001); /* a layer takes minutes */
    tell_load(&agent, path, model_view(model)->hash);
    assert_true(listen_for(&agent, WIRE__MESSAGE__BODY_MODEL_LOADED));
    body.repeats = 1;
    message.body_case = WIRE__MESSAGE__BODY_PROFILE;
    message.profile = &body;
    tell(&agent, &message);
    assert_true(listen_for(&agent, WIRE__MESSAGE__BODY_SAMPLE));
    assert_true(listen_for(&agent, WIRE__MESSAGE__BODY_SAMPLE));
    control_close(&agent.control);
    expect_end(&agent, 0);
    model_close(model);
    unlink(path);
}

static void test_nonsense_ends_it_with_a_reason(void **state)
{
    struct agent agent;
    char nonsense[512];
    (void)state;
    start(&agent);
    memset(nonsense, 0xa5, sizeof(nonsense));
    assert_int_equal(send(agent.control.write_fd, nonsense, sizeof(nonsense), MSG_NOSIGNAL), sizeof(nonsense));
    assert_true(listen_for(&agent, WIRE__MESSAGE__BODY_ERROR));
    assert_non_null(strstr(agent.error, "control message of"));
    expect_end(&agent, 1);
    control_close(&agent.control);
}

static void test_it_refuses_work_before_it_is_configured(void **state)
{
    struct agent agent;
    (void)state;
    start(&agent);
    tell_load(&agent, "x", "y");
    assert_true(listen_for(&agent, WIRE__MESSAGE__BODY_ERROR));
    assert_non_null(strstr(agent.error, "before the agent was configured"));
    expect_end(&agent, 1);
    control_close(&agent.control);
}

static void test_a_wrong_backend_is_the_users_mistake(void **state)
{
    struct agent agent;
    (void)state;
    start(&agent);
    tell_configure(&agent, "referense", 1);
    assert_true(listen_for(&agent, WIRE__MESSAGE__BODY_ERROR));
    assert_int_equal(agent.error_kind, ERROR_INPUT);
    assert_non_null(strstr(agent.error, "a.cfg:7"));
    assert_non_null(strstr(agent.error, "reference"));
    expect_end(&agent, 1);
    control_close(&agent.control);
}

static void test_a_missing_model_is_told_and_survived(void **state)
{
    struct agent agent;
    (void)state;
    start(&agent);
    tell_configure(&agent, "reference", 1);
    tell_load(&agent, "/nowhere/model.onnx", "0");
    assert_true(listen_for(&agent, WIRE__MESSAGE__BODY_ERROR));
    assert_non_null(strstr(agent.error, "/nowhere/model.onnx"));
    assert_true(listen_for(&agent, WIRE__MESSAGE__BODY_SAMPLE));
    tell_stop(&agent);
    expect_end(&agent, 0);
    control_close(&agent.control);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_ends_with_its_controller),
        cmocka_unit_test(test_it_ends_with_its_controller_in_the_middle_of_a_layer),
        cmocka_unit_test(test_nonsense_ends_it_with_a_reason),
        cmocka_unit_test(test_it_refuses_work_before_it_is_configured),
        cmocka_unit_test(test_a_wrong_backend_is_the_users_mistake),
        cmocka_unit_test(test_a_missing_model_is_told_and_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
