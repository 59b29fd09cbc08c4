# A process of the job: claims pieces, runs them, writes blocks.

# Seconds. Finer than proc.time(), whose milliseconds are long beside a replication's.
clock <- function() unclass(Sys.time())

# Pieces: consecutive stretches that processes claim one after the other, each about a share of what is left, so that
# the last ones are small. Every process computes the same cut; `dir.create` decides who has a piece.
cut_pieces <- function(counts, workers) {
  ends <- integer(); n <- length(counts); total <- cumsum(as.numeric(counts)); at <- 0L
  while (at < n) {
    before <- if (at) total[at] else 0
    share <- (total[n] - before) / (4 * workers)
    at <- max(at + 1L, findInterval(before + share, total))
    ends <- c(ends, at)
  }
  ends
}

# Runs stretches until there are none left to claim. `pieces` ends of pieces; NULL: all stretches, in order, as one piece.
# careful: before each replication its name is written down, so that the supervisor knows which one crashed or hangs.
work <- function(job, process, pieces, careful) {
  root <- job$root
  input <- empty_input()
  at_start <- terms_at_start()
  diverted <- sink.number()
  # where memory runs out this process is to end, and not its supervisor
  tryCatch(suppressWarnings(cat("1000", file = "/proc/self/oom_score_adj")), error = function(e) NULL)
  calls <- vector("list", length(job$conditions$condition))
  run_script <- if (!is_function(job)) script_runner(job, process)
  loop <- job$loop
  next_stream <- if (is_function(job)) parallel::nextRNGSubStream else parallel::nextRNGStream
  facts <- c(run = job$run, facts_here())
  folder <- if (is_function(job)) working_folder(job, file.path(root, "scratch", paste0("folder-", process)))
  each <- FALSE      # whether the folder is looked at after each replication
  own_news <- own_code_news(job)
  space <- globalenv()
  started <- clock()
  block_started <- started
  sequence <- 0L
  fraction <- 0
  marker <- file.path(root, "scratch", paste0("now-", process))
  # What the next block will hold: parts, one of each stretch; of the stretch that is being run `open_part` tells what is whole.
  parts <- list(); open_part <- NULL
  failures <- list(); warned <- list(); texts <- list(); dropped <- list()
  seeds <- list(); seeds_for <- 0L; known <- NULL   # that replications set themselves: those of one condition at a time
  held <- 0   # bytes of a loop's values; R writes less than 2^31 at a time
  trace <- character()

  seconds_per_block <- function(now) {  # a second, but not more than 50,000 blocks for the whole run
    total <- (now - started) * job$workers * job$jobs / max(fraction, 1e-9)
    min(max(1, total / 50000), as.numeric(job$longest_block))
  }
  flush <- function() suspendInterrupts({
    options_then <- own_terms(at_start)
    if (careful) unlink(marker)
    if (!is.null(open_part)) parts <<- c(parts, list(open_part()))
    of <- function(name) unlist(lapply(parts, `[[`, name), recursive = FALSE, use.names = FALSE)
    condition <- of("condition"); replication <- of("replication"); ok <- of("ok")
    if (length(condition)) {
      if (!tools::pskill(job$supervisor, 0L)) tools::pskill(Sys.getpid(), tools::SIGKILL)   # a run without a supervisor is taken up by another
      if (nzchar(name <- shared_changed(job$included))) give_up(job, "shared: ", name)
      sequence <<- sequence + 1L
      tables <- list(list(name = "replications", columns = list(condition = condition, replication = replication, ok = ok, seconds = of("seconds"))))
      # before the others: it is looked for in a block's first bytes
      if (length(dropped)) tables <- c(tables, list(list(name = "dropped", columns = dropped[[1L]])))
      if (loop) tables <- c(tables, list(list(name = "values", columns = list(condition = condition, replication = replication, value = of("values")))))
      else if (any(ok) && is_function(job)) tables <- c(tables, result_tables(condition[ok], replication[ok], of("values")))
      for (kept in list(list("failures", failures), list("warnings", warned), list("outputs", texts), list("seeds", seeds)))
        if (length(kept[[2]])) tables <- c(tables, list(list(name = kept[[1]], columns = do.call(Map, c(list(c), kept[[2]])))))
      if (nzchar(news <- own_news())) facts[["own_code"]] <<- news
      save_block(job, process, sequence, length(condition), sum(!ok), facts, tables)
    }
    parts <<- list(); failures <<- list(); warned <<- list(); texts <<- list(); dropped <<- list(); seeds <<- list(); held <<- 0
    options(options_then)
    block_started <<- clock()
  })
  stop_here <- function() signalCondition(structure(class = c("interrupt", "condition"), list(message = "", call = NULL)))
  # Written down is the first seed of each condition in this process, and the first that came twice, with who set them.
  set_seed <- function(id, r, seed) {
    if (seeds_for != id) { seeds_for <<- id; known <<- new.env() }
    seed <- paste(format(seed, digits = 15L), collapse = " ")
    before <- known[[seed]]
    if (is.null(before) && length(known) < 1e4) known[[seed]] <<- r
    note <- function(r) seeds[[length(seeds) + 1L]] <<- list(condition = id, replication = r, seed = seed)
    if (length(known) == 1L && is.null(before)) note(r)
    else if (is.null(known$twice) && !is.null(before) && before != r) { known$twice <<- 0L; note(before); note(r) }
  }
  on_error <- function(e) trace <<- tryCatch(user_calls(sys.calls()), error = function(e) character())

  # This loop is what a sweep's time goes into, besides the simulation. Its state is in local variables, and `i` is counted
  # up last, so that what belongs to the first `i` replications is whole at any moment.
  run_stretch <- function(s) {
    row <- job$row[s]
    id <- job$conditions$condition[row]
    first <- job$stretches$first[s]
    count <- job$stretches$count[s]
    state <- job$states[s, ]
    if (is.null(run_script) && is.null(calls[[row]])) calls[[row]] <<- condition_call(job, row)
    call <- calls[[row]]
    i <- 0L
    if (is_function(job)) job$streams$tell(function() list(name = c(id, first + i), state = state, seeded = function(seed) set_seed(id, first + i, seed)))
    ok <- logical(count); ends <- numeric(count); values <- vector("list", count)
    began <- now <- clock()
    looked <- 0L; look <- 1L   # after how many replications the clock was looked at last, and will be next
    looked_state <- state; a_while <- 0.005   # seconds between looks
    open_part <<- function() {
      whole <- seq_len(i)
      if (looked < i) ends[(looked + 1L):i] <<- clock()
      list(condition = rep(id, i), replication = first + whole - 1L, ok = ok[whole], seconds = diff(c(began, ends[whole])), values = values[whole][loop | ok[whole]])
    }
    # Has any replication since the last look written into the working directory? If there was one, what it wrote is its own.
    # Several may have read each other's files: they are run again (TRUE), and from then on each is followed by a look.
    look_around <- function() {
      if (is.null(folder)) return(FALSE)
      at <- clock()
      changed <- folder$changed()
      a_while <<- max(0.005, 250 * (clock() - at))
      if (!changed) return(FALSE)
      if (i > looked) {
        folder$tidy()
        since <- (looked + 1L):(i + 1L)
        ok[since] <<- FALSE; values[since] <<- list(NULL); trace <<- character()
        warned <<- Filter(function(w) w$condition != id || w$replication < first + looked, warned)
        i <<- looked; state <<- looked_state; look <<- looked + 1L; each <<- TRUE
        return(TRUE)
      }
      found <- folder$tidy(if (nzchar(job$keep_files)) file.path(root, "artifacts", id, first + i))
      each <<- each || length(found)
      if (length(found) && !nzchar(job$keep_files) && !length(dropped)) dropped <<- list(list(condition = id, replication = first + i, file = found[1L]))
      FALSE
    }
    failed <- function(e) failures[[length(failures) + 1L]] <<- list(
      condition = id, replication = first + i, message = message_of(e), call = call_of(e), traceback = paste(trace, collapse = "\n"))
    on_warning <- function(w) {
      if (isTRUE(getOption("warn") >= 2L) || is.null(muffle <- findRestart("muffleWarning", w))) return()   # it becomes an error
      n <- length(warned); text <- message_of(w)
      last <- if (n) warned[[n]]
      if (n && last$condition == id && last$replication == first + i && last$message == text) warned[[n]]$count <<- last$count + 1L
      else warned[[n + 1L]] <<- list(condition = id, replication = first + i, message = text, count = 1L)
      invokeRestart(muffle)
    }
    # the replication has failed
    not_done <- function(e) {
      suspendInterrupts({
        options_then <- own_terms(at_start)
        while (sink.number() > diverted) sink()
        failed(e)
        if (loop) values[[i + 1L]] <<- tryCatch(serialize(e, NULL, xdr = FALSE), error = function(other) serialize(simpleError(message_of(e)), NULL, xdr = FALSE))
        trace <<- character()
        before <- now
        now <<- clock()
        since <- (looked + 1L):(i + 1L)
        ends[since] <<- before + (now - before) * seq_along(since) / length(since)
        looked <<- i + 1L; look <<- looked + 1L
        looked_state <<- state <<- next_stream(state)
        i <<- i + 1L
        if (identical(options_then$expressions, 5000L)) options(options_then)
      })
      if (job$on_error == "stop") stop_here()   # what is whole is written at once, and seen
    }
    while (i < count) tryCatch(withCallingHandlers(
      while (i < count) {
        if (careful) write_marker(marker, id, first + i)
        if (is.null(run_script)) {
          space[[".Random.seed"]] <- state
          if (loop) call[[2L]] <- first + i
          value <- eval(call, space)
          if (loop) {
            value <- serialize(value, NULL, xdr = FALSE)
            held <<- held + length(value)
          } else if (!is.null(value)) {
            # a plain vector of doubles is kept as it is; whatever else the simulation made is asked for its rows now
            if (is.double(value) && !is.array(value) && !is.object(value)) {
              if (length(value) > 1000L) held <<- held + 8 * length(value)
            } else {
              value <- kept_value(job, id, first + i, value, folder$path)
              held <<- held + 8 * sum(lengths(value))
            }
          }
          if (.Internal(sink.number(TRUE)) > diverted) while (sink.number() > diverted) sink()
          if (!is.null(value)) values[[i + 1L]] <- value
        } else {
          text <- run_script(row, first + i, state)
          if (length(text)) texts[[length(texts) + 1L]] <<- list(condition = id, replication = first + i, text = text)
        }
        ok[i + 1L] <- TRUE
        if (i + 1L >= look || held > 2^28) {   # at the clock and the folder; not at every replication of a few microseconds
          if (look_around()) next
          before <- now
          now <- clock()
          # a value that came after the interrupt may be one without the programs that the interrupt ended
          if (now > before && stopping(job)) stop_here()
          since <- (looked + 1L):(i + 1L)
          ends[since] <- before + (now - before) * seq_along(since) / length(since)
          looked <- i + 1L
          look <- min(count, looked + if (each) 1L else if (now - before > a_while) max(1L, length(since) %/% 2L) else 2L * length(since))
        }
        state <- next_stream(state)
        i <- i + 1L
        if (i == looked) looked_state <- state
        if (held > 2^28 || i == looked && now - block_started > 1 && now - block_started > seconds_per_block(now)) suspendInterrupts({
          flush()
          first <- first + i; count <- count - i; i <- 0L; began <- now
          look <- look - looked; looked <- 0L
          ok <- logical(count); ends <- numeric(count); values <- vector("list", count)
        })
      }, warning = on_warning, error = on_error),
      interrupt = function(e) {
        if (stopping(job)) stop_here()
        if (look_around()) return()
        not_done(simpleError("an interrupt was signalled"))
      },
      error = function(e) {
        if (stopping(job)) stop_here()
        if (look_around()) return()
        not_done(e)
      })
    suspendInterrupts({ parts[[length(parts) + 1L]] <<- open_part(); open_part <<- NULL })
  }
  # An interrupt comes at any moment: what belongs to an unfinished replication is left out.
  flush_what_is_whole <- function() suspendInterrupts({
    if (!is.null(open_part)) {
      at <- environment(open_part)
      at$i <- at$looked   # what came since the last look at the clock may have come after the interrupt
      others <- function(kept) Filter(function(k) k$condition != at$id || k$replication < at$first + at$i, kept)
      failures <<- others(failures); warned <<- others(warned); texts <<- others(texts); seeds <<- others(seeds)
    }
    flush()
  })

  claim <- 0L
  stretches <- length(job$row)
  tryCatch({
    repeat {
      claim <- claim + 1L
      if (claim > max(1L, length(pieces))) break
      if (!is.null(pieces)) {
        claims <- file.path(root, "scratch", "claims", claim)
        if (!dir.create(claims, showWarnings = FALSE)) {
          if (dir.exists(claims)) next
          give_up(job, "disk: ", claims, " can't be made")
        }
        cat(claim, "\n", file = file.path(root, "scratch", paste0("claimed-", process)), append = TRUE)
        span <- (if (claim > 1L) pieces[claim - 1L] + 1L else 1L):pieces[claim]
        fraction <- pieces[claim] / stretches
      } else { span <- seq_len(stretches); fraction <- 1 }
      for (s in span) run_stretch(s)
    }
    flush()
  }, interrupt = function(e) flush_what_is_whole())
}

# Objects that are no table are kept whole, beside the block. place: the working directory.
kept_value <- function(job, id, r, value, place) {
  rows <- rows_of(value)
  if (!identical(rows, "object")) return(rows)
  if (nzchar(job$keep_files) && file.exists(file.path(place, "value.rds")))
    refuse("the simulation returned a ", class(value)[1L], ", which is kept as value.rds, and wrote a file of that name: call the file otherwise")
  folder <- file.path(job$root, "artifacts", id, r)
  dir.create(folder, recursive = TRUE, showWarnings = FALSE)
  open <- file.path(job$root, "scratch", paste0("object-", Sys.getpid()))
  keep <- function() {
    saveRDS(value, open)
    if (!file.rename(open, file.path(folder, "value.rds"))) stop("it can't be written", call. = FALSE)
  }
  tryCatch(keep(), error = function(e) {
    unlink(open)
    tryCatch(serialize(value, NULL), error = function(e) refuse_value(value, e))
    give_up(job, "disk: ", file.path(folder, "value.rds"), ": ", message_of(e))
  })
  NULL
}

write_marker <- function(path, id, r) {
  cat(id, r, file = paste0(path, "~"))
  file.rename(paste0(path, "~"), path)
}

save_block <- function(job, process, sequence, done, failed, facts, tables) {
  name <- sprintf("%s-%s-%s-%02d.%06d-r%d-f%d", job$plan, job$job, job$attempt, process, sequence, done, failed)
  open <- file.path(job$root, "scratch", name)
  tryCatch({
    write_block(open, facts, tables)
    if (!file.rename(open, file.path(job$root, "blocks", name))) stop("could not be moved to ", file.path(job$root, "blocks"), call. = FALSE)
  }, error = function(e) {
    unlink(open)
    give_up(job, "disk: block ", name, ": ", conditionMessage(e))
  }, warning = function(w) { unlink(open); give_up(job, "disk: block ", name, ": ", conditionMessage(w)) })
}
