//! Model providers, routing and prices behind the Model port.
