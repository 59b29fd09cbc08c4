"""AWS Batch from R, on the emulator: what an R user types."""

from batch_sweeps import own_cache  # noqa: F401


def test_from_a_plan_to_the_table(on_batch, image_r, in_r):
    said = in_r(f"""
        power <- function(n) {{ Sys.sleep(0.05); c(mean = mean(rnorm(n))) }}
        design <- sim_grid(n = c(10, 20))
        place <- sim_batch(jobs = 2, vcpus = 1, memory = "2G", image = "{image_r}", budget = 5, tags = c(project = "ferry"))
        plan <- sim_plan(power, design, replications = 1e6, backend = place)
        stopifnot(plan$cloud$rows$instance_type == "spot, 1 vCPUs, 2 GB", plan$cloud$rows$jobs[1] == 2)
        print(plan)

        there <- sim_run(power, design, replications = 20, seed = 1, backend = place)
        here <- sim_run(power, design, replications = 20, seed = 1, store = "store")
        stopifnot(identical(sim_results(there), sim_results(here)))
        now <- sim_status("latest")
        stopifnot(now$run == there$id, now$done == 40, identical(unname(now$jobs), rep("succeeded", 2)), now$dollars > 0)
        sim_extend("latest", 30, memory = "3G")
        stopifnot(identical(sim_results(there), sim_results(sim_extend(here, 30))))
        slow <- sim_run(function(n) Sys.sleep(100), design, replications = 2, backend = place, detach = TRUE)
        while (length(sim_status(slow)$jobs) == 0) Sys.sleep(0.5)
        sim_cancel(slow)
        stopifnot(sim_status(slow)$state == "incomplete", sim_status(slow)$jobs == "cancelled")
        tryCatch(sim_resume(slow, queue = "other"), simferry_error_usage = function(e) cat(conditionMessage(e), "\\n"))
        sim_delete(slow)
        tryCatch(sim_status(slow$id), simferry_error_run_not_found = function(e) cat("deleted"))
    """)
    row = next(line for line in said.splitlines() if "as asked for" in line)
    assert row.split() == [*"spot, 1 vCPUs, 2 GB 2 1".split(), *row.split()[7:]] and "the budget counts 5 attempts" in said
    assert "queue of run" in said and "can't be changed" in said and said.endswith("deleted")
