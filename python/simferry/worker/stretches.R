# A stretch: consecutive replications of one condition. They are run in batches. After each batch there is a look at the
# clock and at the working directory: for replications of a few microseconds one after each of them would take too long.
# Stretches of few fast replications share a look: `unchecked` are those that are whole and were not looked after yet.

# A stretch that is being run. `done` replications are whole: they have run, and the look after them found nothing to do
# again. Its functions assign with `<<-`, which R does in place.
new_stretch <- function(process, s) {
  job <- process$job
  row <- job$row[s]
  id <- job$conditions$condition[row]
  first <- job$stretches$first[s]
  count <- job$stretches$count[s]
  state <- job$states[s, ]
  done <- 0L
  size <- 1L       # of the next batch
  batch <- no_batch <- list(done = 0L, values = list(), state = state)   # or the frame of the batch that is being run
  of_functions <- is_function(job)
  kept <- list()   # of each batch: how many replications, whether the last one failed, seconds, values
  now <- clock()

  # Keeps the first n replications of the batch. failure: the error of the last one, or NULL.
  keep_batch <- function(n, failure, ended) {
    good <- n - !is.null(failure)
    values <- batch$values[seq_len(good)]
    error <- if (!is.null(failure)) record_failure(process, id, first + done + n - 1L, failure)
    if (!is.null(error)) values <- c(values, list(error))
    alike <- good && is.null(error) && is.null(batch$odd) && of_functions
    values <- if (alike) packed(values) else list(values = values)
    state <<- no_batch$state <<- if (is.null(failure)) batch$state else .Call(process$next_stream, batch$state)
    kept[[length(kept) + 1L]] <<- list(n = n, failed = !is.null(failure), seconds = ended - now, values = values)
    size <<- min(count - done - n, next_size(process, n, ended - now))
    now <<- ended
    done <<- done + n
    batch <<- no_batch
  }
  drop_batch <- function() {
    size <<- 1L
    batch <<- no_batch
  }
  # The rest, after the replications that are done were written.
  forget_done <- function() {
    first <<- first + done
    count <<- count - done
    done <<- 0L
    kept <<- list()
  }
  environment()
}

# Runs stretches to their end, and those again that met what others of them had left.
run_stretches <- function(process, stretches) {
  process$queue <- stretches
  process$at <- 0L
  on_warning <- function(w) {
    stretch <- process$stretch
    note_warning(process, stretch$id, stretch$first + stretch$done + stretch$batch$done, w)
  }
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

# Goes on with the stretch that an error has left, if any, and takes the next ones.
run_queue <- function(process) {
  of_functions <- is_function(process$job)
  while (next_stretch(process)) {
    stretch <- process$stretch
    while (stretch$done < stretch$count) {
      if (of_functions) run_batch(process, stretch) else run_script(process, stretch)
      end_batch(process)
    }
    if (!is.null(process$stretch)) suspendInterrupts(end_stretch(process))
  }
}

# Whether there is one.
next_stretch <- function(process) {
  if (!is.null(process$stretch)) return(TRUE)
  if (length(process$again)) {
    s <- process$again[1L]
    process$again <- process$again[-1L]
  } else {
    if (process$at >= length(process$queue)) return(FALSE)
    process$at <- process$at + 1L
    s <- process$queue[process$at]
  }
  process$s <- s
  process$stretch <- new_stretch(process, s)
  TRUE
}

end_stretch <- function(process) {
  process$parts$add(part_of(process$stretch))
  process$stretch <- NULL
}

# failure: the error of the batch's last replication, or NULL.
end_batch <- function(process, failure = NULL) {
  process$jit <- .Internal(enableJIT(0L))
  job <- process$job
  stretch <- process$stretch
  if (stopping(job)) stop_here()   # a value that came after the interrupt may lack the programs that it ended
  n <- min(stretch$size, stretch$batch$done + !is.null(failure))
  first <- stretch$first + stretch$done
  ended <- clock()
  whole <- n == job$stretches$count[process$s]   # no part of it was written before: it may have to be run again
  if (is.null(failure) && whole && can_wait(process, ended)) {
    suspendInterrupts({
      stretch$keep_batch(n, NULL, ended)
      process$unchecked <- c(process$unchecked, process$s)
      end_stretch(process)
    })
    return()
  }
  if (look_after_batch(process, stretch$id, first, first + n - 1L, several = n > 1L)) return(stretch$drop_batch())
  suspendInterrupts({
    stretch$keep_batch(n, failure, ended)
    if (is_block_due(process, stretch$now)) {
      save_unsaved(process)
      stretch$forget_done()
    }
  })
  if (!is.null(failure) && job$on_error == "stop") stop_here()   # what is whole is written at once, and seen
}

# Runs up to `size` replications of a function. Its variables are copies, for speed. `done` is counted up last: what
# belongs to the first `done` replications is whole at any moment.
run_batch <- function(process, stretch) {
  job <- process$job
  id <- stretch$id
  first <- stretch$first + stretch$done
  state <- stretch$state
  size <- stretch$size
  call <- process$call_in(stretch$row)
  values <- vector("list", size)
  odd <- NULL      # TRUE where a value is no plain vector of doubles
  done <- 0L
  stretch$batch <- environment()
  space <- globalenv()
  loop <- job$loop
  careful <- process$careful
  diverted <- process$diverted
  next_stream <- process$next_stream
  restore_each <- process$restore_each
  job$streams$set_running(function() {
    list(name = c(id, first + done), state = state, loading = process$state$loading,
         seeded = function(seed) process$seeds$note(id, first + done, seed))
  })
  changing <- FALSE   # whether environment variables differ between the replications
  if (length(job$variables)) {
    process$state$set_variables(variables_of(job, stretch$row, first))
    changing <- any(vapply(job$variables, function(texts) grepl("[\ue001\ue002]", texts[[stretch$row]]), NA))
  }
  .Internal(enableJIT(process$jit))
  while (done < size) {
    if (changing) process$state$set_variables(variables_of(job, stretch$row, first + done))
    if (careful) write_marker(process$marker, id, first + done)
    space[[".Random.seed"]] <- state
    if (loop) call[[2L]] <- first + done
    value <- .Internal(eval(call, space, space))   # eval() itself takes longer than all else here
    # a short plain vector of doubles is kept as it is
    if (!is.double(value) || is.object(value) || is.array(value) || length(value) > 1000L ||
          loop && !is.null(attributes(value))) {
      value <- kept_value(process, id, first + done, value)
      odd <- TRUE
      if (process$bytes > 2^28) size <- done + 1L
    }
    if (.Internal(sink.number(TRUE)) > diverted) while (sink.number() > diverted) sink()
    if (restore_each && process$state$changed()) process$state$restore()
    if (!is.null(value)) values[[done + 1L]] <- value
    state <- .Call(next_stream, state)
    done <- done + 1L
  }
}

# Runs one replication of a whole script.
run_script <- function(process, stretch) {
  r <- stretch$first + stretch$done
  state <- stretch$state
  values <- list(NULL)
  done <- 0L
  stretch$batch <- environment()
  files <- process$run_script(stretch$row, r, state)
  for (name in names(files))
    process$outputs$add(list(condition = stretch$id, replication = r, name = name, content = files[name]))
  state <- .Call(process$next_stream, state)
  done <- 1L
}

# How many replications the next batch has at the most, after one of `n` that took `seconds`.
next_size <- function(process, n, seconds) {
  if (process$look_at_each) 1L
  else if (seconds > process$seconds_between_looks) max(1L, n %/% 2L)
  else 2L * n
}

# Whether the look after a stretch that is whole can be that of a later one.
can_wait <- function(process, now) {
  seconds <- min(process$seconds_between_looks, 0.02)   # what was not looked after is lost by Ctrl-C
  process$looked && !process$look_at_each && now - process$last_look < seconds && !is_block_due(process, now)
}

# The look after the last stretch.
look_at_end <- function(process) while (length(process$unchecked)) {
  look_after_batch(process, 0L, 0L, 0L, several = TRUE)
  run_stretches(process, integer())
}

# Forgets the stretches that were not looked after. They are the last ones of the parts.
drop_unchecked <- function(process) {
  job <- process$job
  process$parts$drop(length(process$unchecked))
  for (s in process$unchecked) {
    id <- job$conditions$condition[job$row[s]]
    first <- job$stretches$first[s]
    forget_replications(process, id, first, first + job$stretches$count[s] - 1L)
  }
  process$unchecked <- integer()
}

# What was recorded of them beside their values.
forget_replications <- function(process, id, first, last) {
  others <- function(record) record$condition != id || record$replication < first || record$replication > last
  for (name in c("warned", "seeds", "objects")) process[[name]]$keep(others)
}

# Looks at R's state and the working directory after a batch, which began with replication `first` and ended with
# `last`. What a replication changed or wrote is its own. Where `several` have run, they may have met what others left:
# TRUE tells that they are to be run again. From then on the state is restored, or the folder looked at, after each.
# Unchecked stretches are checked too.
look_after_batch <- function(process, id, first, last, several) {
  folder <- process$folder
  if (is.null(folder)) return(FALSE)
  several <- several || length(process$unchecked) > 0L
  at <- clock()
  state_changed <- process$state$changed()
  if (state_changed) {   # before the look at the folder: a graphics device may write its file now
    process$state$restore()
    process$restore_each <- TRUE
  }
  folder_changed <- folder$changed()
  process$last_look <- clock()
  process$seconds_between_looks <- max(0.02, 250 * (process$last_look - at))
  report_new_packages(process, id)
  if (several && (state_changed || folder_changed)) {
    if (folder_changed) folder$tidy()
    forget_replications(process, id, first, last)
    process$again <- process$unchecked
    drop_unchecked(process)
    process$trace <- character()
    process$look_at_each <- process$look_at_each || folder_changed
    return(TRUE)
  }
  process$unchecked <- integer()
  if (folder_changed) move_written(process, id, last)
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
