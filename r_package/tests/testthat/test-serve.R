test_that("a model is served, asked and closed", {
  asked <- list()
  bridge <- function(verb, ...) {
    asked[[verb]] <<- list(...)
    switch(verb, serve = list(token = "t1", url = "http://localhost:8080", ready = 1.23, ping = 0.004),
           serve_predict = c(0.5, 1), serve_close = NULL)
  }
  with_mocks(list(bridge = bridge), {
    expect_message(server <- sim_serve("trees", "model.tar.gz", env = list(A = 1), memory = "2G"),
                   "http://localhost:8080 serves trees: ready after 1.2 s, /ping in 4.0 ms", fixed = TRUE)
    expect_s3_class(server, "simferry_server")
    expect_output(print(server), "http://localhost:8080 serves trees", fixed = TRUE)
    expect_identical(predict(server, matrix(1:4, 2)), c(0.5, 1))
    expect_invisible(close(server))
    expect_identical(asked$serve_predict[c("token", "data")], list(token = "t1", data = data.frame(V1 = 1:2, V2 = 3:4)))
    asked <- list()
    rm(server)
    gc()
    expect_identical(asked$serve_close, list(token = "t1"))
  })
})
