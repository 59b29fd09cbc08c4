# The supervisor: forks the processes of a job, and outlives their crashes.

# Interrupts are for the processes: they write what they have, and end.
supervise <- function(job) suspendInterrupts({
  job$workers <- max(1, floor(job$workers / job$cores))
  # by an attempt whose machine was lost
  job <- without_blocks(job, list.files(file.path(job$root, "done"), full.names = TRUE))
  careful <- job$replication_timeout > 0 && is_function(job)
  pieces <- if (nzchar(job$chunked)) seq_along(job$row) else cut_pieces(job$stretches$count, job$workers)
  dir.create(file.path(job$root, "scratch", "claims"), recursive = TRUE, showWarnings = FALSE)
  driver <- as.integer(Sys.getenv("SIMFERRY_DRIVER", "0"))
  killed_before <- memory_kills()
  children <- list()
  process <- 0L
  in_vain <- 0L      # how many processes, one after the other, died without having come any further
  # then: the arguments of the process to be started when this one has done its part
  start <- function(job, pieces, careful, then = NULL) {
    process <<- process + 1L
    number <- process
    child <- parallel:::mcfork()
    if (inherits(child, "masterProcess"))
      invokeRestart("simferry_fork", function() run_process(job, number, pieces, careful))
    child$number <- number
    child$careful <- careful
    child$job <- job
    child$pieces <- pieces
    child$then <- then
    children[[as.character(child$pid)]] <<- child
  }
  for (i in seq_len(min(job$workers, length(pieces)))) start(job, pieces, careful)
  while (length(children)) {
    if (file.exists(file.path(job$root, "message")) || driver > 0L && !runs(driver)) {
      tools::pskill(unlist(lapply(as.integer(names(children)), family)), tools::SIGKILL)
      quit("no", status = 1)
    }
    # it lets interrupts through
    ended <- tryCatch(suppressWarnings(parallel::mccollect(unname(children), wait = FALSE, timeout = 0.2)),
                      interrupt = function(e) {
      # a signal to a container reaches its first process alone
      if (in_container(job)) tools::pskill(as.integer(names(children)), tools::SIGINT)
      NULL
    })
    # a program that a dead process had started may keep its pipe open: R does not notice then
    for (pid in setdiff(names(children), names(ended))) if (is_dead(pid)) {
      if (is.null(children[[pid]]$gone)) children[[pid]]$gone <- TRUE else ended[pid] <- list(NULL)
    }
    for (pid in names(ended)) {
      child <- children[[pid]]
      if (is.null(child)) next
      children[[pid]] <- NULL
      if (stopping(job) || file.exists(file.path(job$root, "message"))) next
      # without a condition R was at its limits, which the simulation may have set
      if (!is.null(failure <- attr(ended[[pid]], "condition"))) give_up(job, "worker: ", message_of(failure))
      if (isTRUE(ended[[pid]])) { if (!is.null(child$then)) do.call(start, child$then) }
      else if (recover(job, child, start, memory_kills() > killed_before)) in_vain <- 0L
      else if ((in_vain <- in_vain + 1L) > 2L)
        give_up(job, "worker: its processes end before they have run anything (out of memory?)")
    }
    if (job$replication_timeout > 0) children <- lapply(children, end_if_hung, job = job)
  }
})

# In a fork, where worker.R calls it: functions that walk the call stack, as match.arg() does, take the longer the
# deeper it is. Ends as a process of parallel::mcparallel() does.
run_process <- function(job, number, pieces, careful) {
  end <- function(value) {
    parallel:::sendMaster(value, FALSE)
    parallel:::mcexit(0L)
  }
  # R itself, at quit() and after a jump to its top level, would remove the temporary folder that all processes share
  on.exit(parallel:::mcexit(1L))
  put_before(c("quit", "q"), quote(parallel:::mcexit(1L)))
  parallel:::mcinteractive(FALSE)
  withCallingHandlers({
    if (is_function(job)) job <- job$load_here(job)
    work(job, number, pieces, careful)
    end_children()
  }, error = function(e) end(structure(message_of(e), class = "try-error", condition = e)))
  end(TRUE)
}

# Ends a careful process whose replication takes longer than the limit. Returns the process, with the replication that
# it is at, and since when.
end_if_hung <- function(child, job) {
  if (!child$careful || !length(now <- marker_of(job, child))) return(child)
  if (!identical(child$at, now)) {
    child$at <- now
    child$since <- proc.time()[[3L]]
  } else if (proc.time()[[3L]] - child$since > job$replication_timeout) {
    child$hung <- sprintf("timed out after %g s", job$replication_timeout)
    tools::pskill(family(child$pid), tools::SIGKILL)
  }
  child
}

is_dead <- function(pid) {
  if (!file.exists("/proc/self/stat"))
    return(grepl("^Z|^$", suppressWarnings(system(paste("ps -o stat= -p", pid), intern = TRUE))[1]))
  stat <- tryCatch(readLines(file.path("/proc", pid, "stat")), error = function(e) ") Z", warning = function(w) ") Z")
  any(grepl(") Z", stat, fixed = TRUE))
}

marker_of <- function(job, child) {
  path <- file.path(job$root, "scratch", paste0("now-", child$number))
  # it may just have gone
  if (file.exists(path))
    tryCatch(scan(path, integer(), quiet = TRUE), error = function(e) NULL, warning = function(w) NULL)
}

# How many processes have been ended for want of memory, here or in this container (cgroup v2, v1); 0 where nobody says.
memory_kills <- function() {
  for (path in c("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")) {
    found <- grep("^oom_kill ", tryCatch(suppressWarnings(readLines(path)), error = function(e) ""), value = TRUE)
    if (length(found)) return(as.numeric(sub("^oom_kill ", "", found[1L])))
  }
  0
}

# A process died: what it had claimed and not finished is run again by one that is careful, which names the culprit if
# it dies too. Whether the job has come any further.
recover <- function(job, child, start, out_of_memory) {
  left <- child$job
  then <- child$then
  if (!is.null(child$pieces)) {
    path <- file.path(job$root, "scratch", paste0("claimed-", child$number))
    claimed <- if (file.exists(path)) scan(path, integer(), quiet = TRUE)
    left <- only(left,
                 unlist(lapply(claimed, function(k) (if (k > 1L) child$pieces[k - 1L] + 1L else 1L):child$pieces[k])))
    then <- list(child$job, child$pieces, child$careful)
  }
  finished <- list.files(file.path(job$root, "blocks"),
                         sprintf("^%s-%s-%s-%02d\\.", job$plan, job$job, job$attempt, child$number), full.names = TRUE)
  left <- without_blocks(left, finished)
  culprit <- if (is.null(child$pieces) || !is.null(child$hung)) marker_of(job, child)
  if (length(culprit)) {
    why <- if (!is.null(child$hung)) child$hung
      else if (out_of_memory) "out of memory" else "the process ended (a crash, quit(), or out of memory)"
    tables <- list(list(name = "replications",
                        columns = list(condition = culprit[1], replication = culprit[2], ok = FALSE,
                                       seconds = NA_real_)),
                   list(name = "failures",
                        columns = list(condition = culprit[1], replication = culprit[2], message = why, call = "",
                                       traceback = "")))
    save_block(job, child$number, 999999L, 1L, 1L, c(run = job$run, facts_here()), tables)
    left <- without(left, culprit[1], culprit[2])
  }
  if (length(left$row)) start(left, NULL, TRUE, then) else if (!is.null(then)) do.call(start, then)
  length(culprit) || length(finished) || (!is.null(child$pieces) && length(left$row))
}

only <- function(job, at) {
  job$stretches <- lapply(job$stretches, `[`, at)
  job$row <- job$row[at]
  job$states <- job$states[at, , drop = FALSE]
  job
}

# The job's stretches without the replications in some blocks.
without_blocks <- function(job, paths) {
  finished <- lapply(paths, function(path) read_block(path)$tables$replications)
  without(job, unlist(lapply(finished, `[[`, "condition")), unlist(lapply(finished, `[[`, "replication")))
}

# The job's stretches without some replications.
without <- function(job, condition, replication) {
  if (!length(condition)) return(job)
  gone <- split(replication, condition)
  step <- if (is_function(job)) parallel::nextRNGSubStream else parallel::nextRNGStream
  parts <- lapply(seq_along(job$row), function(s) {
    every <- job$stretches$first[s] + seq_len(job$stretches$count[s]) - 1L
    left <- setdiff(every, gone[[as.character(job$stretches$condition[s])]])
    begins <- which(c(length(left) > 0L, diff(left) != 1L))
    at <- every[1]
    state <- job$states[s, ]
    states <- lapply(left[begins],
                     function(first) {
                       while (at < first) {
                         state <<- step(state)
                         at <<- at + 1L
                       }
                       state
                     })
    list(stretch = rep(s, length(begins)), first = left[begins], count = diff(c(begins, length(left) + 1L)),
         states = do.call(rbind, states))
  })
  every_part <- function(name) unlist(lapply(parts, `[[`, name))
  job <- only(job, every_part("stretch"))
  job$stretches$first <- every_part("first")
  job$stretches$count <- every_part("count")
  job$states <- do.call(rbind, lapply(parts, `[[`, "states"))
  job
}
