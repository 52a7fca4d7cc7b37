variable "images" {
  type    = string
  default = "file:///images"
}

variable "sizes" {
  type    = list(number)
  default = [64, 128]
}

job "many" {
  dynamic "group" {
    for_each = var.sizes
    labels   = ["size-${group.value}"]
    content {
      network {
        port "http" {
          to = 8000 + group.key
        }
      }
      task "web" {
        driver = "pot"
        config {
          image     = var.images
          pot       = upper("web")
          tag       = "1.0"
          command   = "/bin/sh"
          args      = [for word in ["-c", "true"] : word]
          port_map  = { http = 8080 }
          mount {
            source      = "local"
            destination = "/data"
            read_only   = true
          }
        }
        kill_timeout = "10s"
        resources {
          memory = group.value * 2
        }
      }
    }
  }
}
