# A process of the job: claims pieces, runs their stretches, writes blocks.

# Seconds. Finer than proc.time(), whose milliseconds are long compared with a replication.
clock <- function() .Internal(Sys.time())

# Pieces are consecutive stretches that processes claim one after the other. Each holds about the same share of what is
# left, so that the last ones are small. Every process computes the same cut; `dir.create` decides who has a piece.
# Returns the number of each piece's last stretch.
cut_pieces <- function(counts, workers) {
  ends <- integer()
  n <- length(counts)
  total <- cumsum(as.numeric(counts))
  at <- 0L
  while (at < n) {
    before <- if (at) total[at] else 0
    share <- (total[n] - before) / (4 * workers)
    at <- max(at + 1L, findInterval(before + share, total))
    ends <- c(ends, at)
  }
  ends
}

# Runs stretches until there are none left to claim. number: of this process. pieces: from cut_pieces(); NULL: all
# stretches in order, without claims. careful: before each replication its name is written down, so that the supervisor
# knows which one crashed or hangs.
work <- function(job, number, pieces, careful) {
  input <- empty_input()
  # where memory runs out, this process is to end, and not its supervisor
  tryCatch(suppressWarnings(cat("1000", file = "/proc/self/oom_score_adj")), error = function(e) NULL)
  process <- new_process(job, number, careful)
  tryCatch({
    if (is.null(pieces)) {
      process$fraction <- 1
      run_stretches(process, seq_along(job$row))
    } else for (piece in seq_along(pieces)) if (claim(job, number, piece)) {
      process$fraction <- pieces[piece] / length(job$row)
      run_stretches(process, stretches_of(pieces, piece))
    }
    save_unsaved(process)
  }, interrupt = function(e) save_what_is_whole(process))
}

stretches_of <- function(pieces, piece) (if (piece > 1L) pieces[piece - 1L] + 1L else 1L):pieces[piece]

# Whether this process gets the piece.
claim <- function(job, number, piece) {
  claimed <- file.path(job$root, "scratch", "claims", piece)
  if (!dir.create(claimed, showWarnings = FALSE)) {
    if (!dir.exists(claimed)) give_up(job, "disk: ", claimed, " can't be made")
    return(FALSE)
  }
  cat(piece, "\n", file = file.path(job$root, "scratch", paste0("claimed-", number)), append = TRUE)
  TRUE
}

# What a process knows. Only small things are assigned to from outside: R copies a vector in an environment at each
# assignment to an element of it, and does not where a function of that environment assigns with `<<-`.
new_process <- function(job, number, careful) {
  settings <- settings_at_start()
  diverted <- sink.number()
  run_script <- if (!is_function(job)) script_runner(job, number)
  # without their checks of the state, which take longer than they do
  next_stream <- if (is_function(job)) parallel:::C_nextSubStream else parallel:::C_nextStream
  jit <- 0L                       # how much R compiles while the simulation runs
  compiles <- !is_function(job)   # whether that has begun
  facts <- c(run = job$run, facts_here())
  folder <- if (is_function(job)) working_folder(job, file.path(job$root, "scratch", paste0("folder-", number)))
  new_own_code <- own_code_news(job)
  # whether environment variables differ between the replications of a condition
  variables_change <- any(grepl("[\ue001\ue002]", unlist(job$variables)))
  marker <- file.path(job$root, "scratch", paste0("now-", number))
  seconds_between_looks <- 0.02   # at the clock and the folder
  look_at_each <- FALSE            # whether a look follows each replication
  looked <- FALSE                  # whether there was a look yet
  restore_each <- FALSE            # whether R's state is restored after each replication
  trace <- character()             # the call stack of the error that is being handled
  started <- block_started <- clock()
  fraction <- 0                    # of the job's stretches up to the end of the claimed piece
  sequence <- 0L                   # blocks that were written
  queue <- integer()               # the stretches to be run
  at <- 0L                         # which of them is being run,
  first <- left <- 0L              # its next replication, how many are left,
  rng <- NULL                      # and the state of R's generator for the next
  batch <- NULL                    # the frame of the batch that is being run
  room <- 16L                      # for the values of the next batch
  # What the next block will hold. batches: those that are whole; they have run, and the look after them found nothing
  # to do again.
  batches <- new_records()
  failures <- new_records()
  warned <- new_counts()
  outputs <- new_records()
  objects <- new_records()
  dropped <- NULL
  seeds <- new_seeds()
  marks <- c(failures = 0L, warned = 0L, outputs = 0L, seeds = 0L, objects = 0L)   # how many of them are of `batches`
  bytes <- 0                       # of values; R writes less than 2^31 at a time
  saving <- 0                      # seconds that it took to write the first block
  state <- new_state()             # last: what was loaded until now stays
  environment()
}

# Compiles what many replications, and what many stretches, repay. R's own compiler rests while the worker's functions
# run.
compile_work <- function(job) {
  space <- environment(work)
  is_compiled <- function(name) typeof(.Internal(bodyCode(get(name, envir = space)))) == "bytecode"
  compile <- function(names) for (name in names) if (!is_compiled(name))
    assign(name, compiler::cmpfun(get(name, envir = space)), envir = space)
  if (sum(job$stretches$count) > 5000) compile(c("run_batch", "next_stretch", "condition_call", "parameters_of"))
}
