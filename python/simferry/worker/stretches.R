# A stretch: consecutive replications of one condition. They are run in batches, which go on from stretch to stretch.
# After each batch there is a look at R's state and at the working directory: for replications of a few microseconds one
# after each of them would take too long.

# Runs stretches to their end.
run_stretches <- function(process, stretches) {
  process$queue <- stretches
  process$at <- 0L
  next_stretch(process$job, stretches, process)
  on_warning <- function(w)
    if (!is.null(batch <- process$batch)) note_warning(process, batch$id, replication_of(batch), w)
  # in one line: user_calls() finds this handler by its text
  on_error <- function(e) process$trace <- tryCatch(user_calls(sys.calls()), error = function(e) character())
  whole <- FALSE
  while (!whole) tryCatch(withCallingHandlers({
    run_queue(process)
    whole <- TRUE
  }, warning = on_warning, error = on_error),
  interrupt = function(e) end_batch(process, simpleError("an interrupt was signalled")),
  error = function(e) end_batch(process, e))
}

run_queue <- function(process) {
  of_functions <- is_function(process$job)
  while (process$left > 0L) {
    if (of_functions) run_batch(process) else run_script(process)
    end_batch(process)
  }
}

# Goes on to the next stretch of the queue, if there is one. to: the environment that says where the work is.
next_stretch <- function(job, queue, to) {
  if (to$at < length(queue)) {
    to$at <- to$at + 1L
    s <- queue[to$at]
    to$first <- job$stretches$first[s]
    to$left <- job$stretches$count[s]
    to$rng <- job$states[s, ]   # of R's generator
  } else to$left <- 0L
}

# Runs replications of a function, for some milliseconds. Its variables are copies, for speed. A part of the batch are
# replications of one stretch between two looks at the clock, which come after its first, third, seventh, ... one. The
# frame stays in process$batch: `done` replications are whole, the first `before` of them in parts that have ended.
# `done` is counted up last: what belongs to these is whole at any moment.
run_batch <- function(process) {
  job <- process$job
  at <- process$at        # in the queue
  first <- process$first  # replication of the part
  left <- process$left    # of the stretch, from there
  rng <- process$rng
  call <- NULL
  values <- vector("list", process$room)
  odd <- ran <- NULL      # odd: TRUE where a value is no plain vector of doubles; ran: `done` when the batch ended
  done <- before <- 0L
  parts <- list()         # those that have ended: condition, first replication, number, time
  process$batch <- batch <- environment()
  space <- globalenv()
  next_stream <- process$next_stream
  job$streams$set_running(function() running_in(process, batch))
  begun <- .Internal(Sys.time())
  until <- begun + if (process$look_at_each || !process$looked) -1 else process$seconds_between_looks
  .Internal(enableJIT(process$jit))
  repeat {
    if (is.null(call)) {
      s <- process$queue[at]
      size <- 1L          # of the part
      id <- job$stretches$condition[s]
      call <- condition_call(job, job$row[s])
      if (length(job$variables)) process$state$set_variables(variables_of(job, job$row[s], first))
    }
    while ((n <- done - before) < size) {
      if (process$variables_change) process$state$set_variables(variables_of(job, job$row[s], first + n))
      if (process$careful) write_marker(process$marker, id, first + n)
      space[[".Random.seed"]] <- rng
      if (job$loop) call[[2L]] <- first + n
      value <- .Internal(eval(call, space, space))   # eval() itself takes longer than all else here
      # a short plain vector of doubles is kept as it is
      if (!is.double(value) || is.object(value) || is.array(value) || length(value) > 1000L ||
            job$loop && !is.null(attributes(value))) {
        value <- kept_value(process, id, first + n, value)
        odd <- TRUE
        if (process$bytes > 2^28) until <- size <- n + 1L
      }
      if (.Internal(sink.number(TRUE)) > process$diverted) while (sink.number() > process$diverted) sink()
      if (process$restore_each && process$state$changed()) process$state$restore()
      if (!is.null(value)) values[[done + 1L]] <- value
      rng <- .Call(next_stream, rng)
      done <- done + 1L
    }
    now <- .Internal(Sys.time())
    parts[[length(parts) + 1L]] <- c(id, first, size, now)
    last <- first + size - 1L
    first <- first + size
    left <- left - size
    before <- done
    if (left == 0L) {
      next_stretch(job, process$queue, batch)
      call <- NULL
    }
    if (left == 0L || now > until) break
    size <- min(left, 2L * size)
  }
  ran <- done
}

# The replication that is being run, for tasks.R.
running_in <- function(process, batch) {
  list(name = c(batch$id, replication_of(batch)), state = batch$rng, loading = process$state$loading,
       seeded = function(seed) process$seeds$note(batch$id, replication_of(batch), seed))
}

# Runs one replication of a whole script.
run_script <- function(process) {
  at <- process$at
  s <- process$queue[at]
  id <- process$job$stretches$condition[s]
  first <- process$first
  left <- process$left
  rng <- process$rng
  values <- list(NULL)
  ran <- NULL
  done <- before <- 0L
  parts <- list()
  begun <- clock()
  process$batch <- environment()
  files <- process$run_script(process$job$row[s], first, rng)
  for (name in names(files))
    process$outputs$add(list(condition = id, replication = first, name = name, content = files[name]))
  rng <- .Call(process$next_stream, rng)
  ran <- done <- 1L
  end_part(process, 1L, clock())
}

end_part <- function(process, n, now) {
  batch <- process$batch
  batch$parts <- c(batch$parts, list(c(batch$id, batch$first, n, now)))
  batch$last <- batch$first + n - 1L
  batch$first <- batch$first + n
  batch$left <- batch$left - n
  if (batch$left == 0L) next_stretch(process$job, process$queue, batch)
}

# Which replication a batch is at, or was at when it ended.
replication_of <- function(batch) if (is.null(batch$ran)) batch$first + batch$done - batch$before else batch$last

# failure: the error of the batch's last replication, or NULL.
end_batch <- function(process, failure = NULL) {
  process$jit <- .Internal(enableJIT(0L))
  if (stopping(process$job)) stop_here()   # a value that came after the interrupt may lack the programs that it ended
  now <- clock()
  # parallel's forks compile nothing. What runs for a short time only is not worth it
  if (!process$compiles && now - process$started > 0.2) {
    process$compiles <- TRUE
    process$jit <- process$job$jit
  }
  batch <- process$batch
  if (!is.null(failure) && !is.null(batch$ran)) batch$done <- batch$ran - 1L   # the look after it has failed
  if (look_after_batch(process, failure)) return()
  suspendInterrupts({
    keep_batch(process, failure, now)
    if (is_block_due(process, now)) save_unsaved(process)
  })
  if (!is.null(failure) && process$job$on_error == "stop") stop_here()   # what is whole is written at once, and seen
}

# Keeps the batch, and goes on behind it.
keep_batch <- function(process, failure, now) {
  job <- process$job
  batch <- process$batch
  values <- batch$values[seq_len(batch$done)]
  error <- NULL
  if (!is.null(failure)) {
    error <- record_failure(process, batch$id, replication_of(batch), failure)
    if (!is.null(error)) values <- c(values, list(error))
    if (is.null(batch$ran)) {
      batch$rng <- .Call(process$next_stream, batch$rng)
      end_part(process, batch$done - batch$before + 1L, now)
    }
  }
  alike <- batch$done && is.null(error) && is.null(batch$odd) && is_function(job)
  values <- if (alike) packed(values) else list(values = values)
  parts <- matrix(unlist(batch$parts), 4L)
  n <- ncol(parts)
  process$batches$add(list(id = as.integer(parts[1L, ]), first = as.integer(parts[2L, ]),
                           size = as.integer(parts[3L, ]), seconds = diff(c(batch$begun, parts[4L, ])),
                           failed = seq_len(n) == n & !is.null(failure), values = values))
  process$bytes <- process$bytes + 8 * length(values$numbers)
  process$room <- 2L * batch$done
  for (name in c("at", "first", "left", "rng")) process[[name]] <- batch[[name]]
  process$batch <- NULL
  process$marks <- marks_of(process)
}

# Forgets what was recorded since the last batch that was kept.
drop_batch <- function(process) {
  for (name in names(process$marks)) process[[name]]$rewind(process$marks[[name]])
  process$trace <- character()
}

marks_of <- function(process) {
  sapply(c("failures", "warned", "outputs", "seeds", "objects"), function(name) process[[name]]$size())
}

# Looks at R's state and the working directory after a batch. What a replication changed or wrote is its own. Where
# several have run, they may have met what others left: TRUE tells that they are to be run again. From then on the state
# is restored, or the folder looked at, after each.
look_after_batch <- function(process, failure) {
  folder <- process$folder
  if (is.null(folder)) return(FALSE)
  batch <- process$batch
  several <- (batch$done + !is.null(failure)) > 1L
  at <- clock()
  restored <- process$restore_each   # where it is, only the last replication can have changed it: by an error
  state_changed <- process$state$changed()
  if (state_changed) {   # before the look at the folder: a graphics device may write its file now
    process$state$restore()
    process$restore_each <- TRUE
  }
  folder_changed <- folder$changed()
  process$seconds_between_looks <- max(0.02, 250 * (clock() - at))
  report_new_packages(process, batch$id)
  if (several && (state_changed && !restored || folder_changed)) {
    if (folder_changed) folder$tidy()
    drop_batch(process)
    process$look_at_each <- process$look_at_each || folder_changed
    return(TRUE)
  }
  # the last that has run
  if (folder_changed) move_written(process, batch$id, replication_of(batch))
  FALSE
}

# Moves what a replication wrote to its artifacts, or removes it.
move_written <- function(process, id, r) {
  keep <- process$job$keep_files
  found <- process$folder$tidy(if (nzchar(keep)) file.path(process$job$root, "artifacts", id, r))
  if (length(found)) {
    process$look_at_each <- TRUE
    if (!nzchar(keep) && is.null(process$dropped))
      process$dropped <- list(condition = id, replication = r, file = found[1L])
  }
}

# A package stays attached, and may hide functions of others from later replications. If each replication attaches it,
# the first one of this process has done so.
report_new_packages <- function(process, id) {
  new <- process$state$new_packages()
  if (length(new) && process$looked)
    cat("simferry: some replications of condition ", id, " attached ", paste(new, collapse = ", "),
        ". It stays attached for later replications of this process. Attach packages at the top of the script.\n",
        sep = "", file = stderr())
  process$looked <- TRUE
}

# Counts a warning; R goes on behind it. Where the simulation has made warnings errors it does not.
note_warning <- function(process, id, r, w) {
  if (isTRUE(getOption("warn") >= 2L) || is.null(muffle <- findRestart("muffleWarning", w))) return()
  message <- message_of(w)
  # foreach says it once in each process: how often it comes depends on the workers
  if (!startsWith(message, "executing %dopar% sequentially")) {
    process$warned$count(list(condition = id, replication = r, message = message))
    process$bytes <- process$bytes + 500   # most are counted with others; a million of them are a block
  }
  invokeRestart(muffle)
}

# Returns the error as a loop's session gets it; NULL where the simulation is no loop.
record_failure <- function(process, id, r, e) {
  settings <- worker_settings(process$settings)
  while (sink.number() > process$diverted) sink()
  process$failures$add(list(condition = id, replication = r, message = message_of(e), call = call_of(e),
                            traceback = paste(process$trace, collapse = "\n")))
  process$trace <- character()
  value <- if (process$job$loop) tryCatch(serialize(e, NULL, xdr = FALSE), error = function(other) {
    serialize(simpleError(message_of(e)), NULL, xdr = FALSE)
  })
  if (identical(settings$expressions, 5000L)) options(settings)
  value
}

# Ends the process's work as an interrupt does.
stop_here <- function() signalCondition(structure(class = c("interrupt", "condition"), list(message = "", call = NULL)))

write_marker <- function(path, id, r) {
  cat(id, r, file = paste0(path, "~"))
  file.rename(paste0(path, "~"), path)
}
