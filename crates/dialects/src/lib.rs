//! Wire formats of model APIs to and from core messages.
