# RStudio's addins. What they do appears in the console, as the call that the user could have typed.

addin_run <- function() {
  document <- rstudioapi::getSourceEditorContext()
  if (is.null(document) || !nzchar(document$path))
    raise("usage", "the script in the editor has not been saved", "Save it, then run the addin again.")
  rstudioapi::documentSave(document$id)
  parameters <- rstudioapi::showPrompt("Parameters", "Values of each parameter, as R code", "n = c(10, 20, 50)")
  if (is.null(parameters)) return(invisible())
  replications <- rstudioapi::showPrompt("Replications", "Replications of each condition", "100")
  if (is.null(replications)) return(invisible())
  rstudioapi::sendToConsole(sprintf("run <- simferry::sim_run(%s, simferry::sim_grid(%s), replications = %s)",
                                    deparse(document$path), parameters, replications), execute = TRUE)
}

addin_results <- function() {
  run <- sim_open("latest")
  rstudioapi::sendToConsole(sprintf("View(simferry::sim_results(%s), %s)", deparse(run$folder), deparse(run$id)),
                            execute = TRUE)
}
