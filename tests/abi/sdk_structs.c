/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uses every structure of the SDK in an exported function, so that its debug information describes the whole ABI to
 * abidiff. Never called.
 */
#include <napm/backend.h>
#include <napm/loadgen.h>
#include <napm/partitioner.h>
#include <napm/plugin.h>
#include <napm/scheduler.h>

#define USE(kind, name)                                                                                                \
    NAPM_PUBLIC void abi_of_##name(const kind name *object);                                                           \
    NAPM_PUBLIC void abi_of_##name(const kind name *object)                                                            \
    {                                                                                                                  \
        (void)object;                                                                                                  \
    }                                                                                                                  \
    extern int takes_the_semicolon

USE(struct, napm_host);
USE(struct, napm_option);
USE(union, napm_value);
USE(struct, napm_plugin);
USE(struct, napm_plugin_list);
USE(struct, napm_note);
USE(struct, napm_tensor);
USE(struct, napm_attribute);
USE(struct, napm_operator);
USE(struct, napm_layer);
USE(struct, napm_model);
USE(struct, napm_problem_node);
USE(struct, napm_problem_link);
USE(struct, napm_problem_cut);
USE(struct, napm_problem_stream);
USE(struct, napm_problem);
USE(struct, napm_plan);
USE(struct, napm_phases);
USE(struct, napm_evaluation);
USE(struct, napm_evaluator);
USE(struct, napm_partitioner);
USE(struct, napm_job);
USE(struct, napm_pick);
USE(struct, napm_scheduler);
USE(struct, napm_loadgen);
USE(struct, napm_loadgen_arrivals);
USE(struct, napm_stress_level);
USE(struct, napm_loadgen_stress);
USE(struct, napm_prepare);
USE(struct, napm_segment);
USE(struct, napm_segment_memory);
USE(struct, napm_backend);
